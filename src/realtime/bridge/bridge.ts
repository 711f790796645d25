import type { Identity } from "../../auth/identity.js";
import type { Failure } from "../../status/failure.js";
import type {
  CallFrame,
  ConnectFrame,
  DisconnectFrame,
  FrameId,
  JoinFrame,
  LeaveFrame,
  PublishFrame,
  SendFrame,
} from "../chat/frames.js";

import type { ParentSpan } from "../rooms/room-traces.js";

/** A client's connection as the bridge sees it. Safe to use at any time, after its end too. */
export interface Session {
  /** Unique among all nodes. */
  readonly id: string;
  readonly identity: Identity | undefined;
  /** The authenticated subject; without authentication the last `from` of the client, at first empty. */
  readonly subject: string;
  readonly clientAddress: string;
  readonly requestId: string;
  /**
   * Sends the JSON text of one frame.
   * @returns false where it was not sent, because the socket is closed or too far behind
   */
  send(frame: string): boolean;
  /** Bytes that wait for the client to read them. */
  readonly buffered: number;
  readonly closed: boolean;
}

/** The events of a socket that a backend may decide on, each with its frame. */
export interface EventFrames {
  readonly connect: ConnectFrame;
  readonly join: JoinFrame;
  readonly message: SendFrame | PublishFrame;
  readonly leave: LeaveFrame;
  readonly disconnect: DisconnectFrame;
}
export type EventKind = keyof EventFrames;

/**
 * The outcome of an event. In a frame that was rewritten only `from` and `message` count; the values of the backend are
 * checked like a client's. A `leave` or `disconnect` cannot be refused.
 */
export type EventOutcome<F = EventFrames[EventKind]> =
  | { readonly allow: true; readonly frame: F }
  | { readonly allow: false; readonly failure: Failure };

/** The calls from sockets to backends. One for all sockets; outlived by none of them. */
export interface Bridge {
  /**
   * Called before the event takes effect; `connect` before the upgrade, when nothing can be sent yet. Returns at once
   * where no backend is configured for it. The events of one session and room are decided one after the other. Never
   * throws or rejects.
   * @param parent what it is part of
   */
  event<K extends EventKind>(
    kind: K,
    session: Session,
    frame: EventFrames[K],
    parent?: ParentSpan,
  ): EventOutcome<EventFrames[K]> | Promise<EventOutcome<EventFrames[K]>>;
  /**
   * Responds by `session.send`: `reply`, or `event`s and `end`, or `error`, all with the frame's id.
   * @param text the frame as the client wrote it: numbers of the body keep their digits
   */
  call(session: Session, frame: CallFrame, text: string): void;
  cancel(session: Session, id: FrameId): void;
  /** The client has read the bytes that waited for it: streams that waited for that continue. */
  drained(session: Session): void;
  /** The session has ended: its calls are cancelled. */
  sessionClosed(session: Session): void;
  /** Ends all calls, and cancels the pending events. */
  close(): Promise<void>;
}
