import type { FrameWriter } from "./frame-writer.js";
import type { ErrorCode } from "./protocol.js";
import type { PeerSettings } from "./settings.js";

/**
 * Where a stream is in its life (RFC 9113 §5.1). Pushed streams are refused by SETTINGS, so that the reserved states do
 * not occur.
 *
 *                        Idle
 *                          │ HEADERS, of either side
 *                          ▼
 *          ┌───────────── Open ─────────────┐
 *          │ we end                         │ the peer ends
 *          ▼                                ▼
 *    HalfClosedLocal                 HalfClosedRemote
 *          │ the peer ends                  │ we end
 *          └──────────► Closed ◄────────────┘
 *                         ▲
 *                         └── RST_STREAM of either side, or the end of the connection, from any state
 *
 * A stream may go from Idle to Closed without a frame: a call that is cancelled before it was written.
 */
export const StreamState = {
  Idle: 0,
  Open: 1,
  HalfClosedRemote: 2,
  HalfClosedLocal: 3,
  Closed: 4,
} as const;

export type StreamState = (typeof StreamState)[keyof typeof StreamState];

/** The part of the connection that a stream uses. */
export interface StreamHost {
  /** The stream may have something to write. */
  enlist(stream: Http2Stream): void;
  /** The stream has ended on our side; RST_STREAM is sent where a code is given. */
  release(stream: Http2Stream, code: ErrorCode | undefined): void;
  /** The stream takes more bytes: the peer may send them as soon as flow control allows. */
  grant(stream: Http2Stream): void;
}

/** Received bytes that the owner of a stream has not taken yet. */
export interface Undelivered {
  /** Bytes that are complete and wait to be read. */
  readonly waiting: number;
  /** Bytes of a unit that is not complete. */
  readonly partial: number;
  /** Bytes that are known to be missing of it. */
  readonly missing: number;
}

/** One stream: the interface for its connection, the sender and the flow control. */
export abstract class Http2Stream {
  state: StreamState = StreamState.Idle;
  /** 0 while it is idle. */
  id = 0;
  /** Bytes that we may still send; may be negative (RFC 9113 §6.9.2). */
  sendWindow = 0;
  /** Bytes that the peer may still send. */
  receiveWindow: number;
  /** Bytes that `receiveWindow` is made again. */
  windowTarget: number;
  /** `performance.now()` of the last WINDOW_UPDATE. */
  windowUpdated = 0;
  /** In the sender's list of streams that have something to write. */
  listed = false;
  /** All bytes that it was given are in the sender's buffer; `announceFlushed` is still to be called. */
  flushed = false;

  /** `receiveWindow`: bytes that our SETTINGS let the peer send at first. */
  protected constructor(receiveWindow: number) {
    this.receiveWindow = receiveWindow;
    this.windowTarget = receiveWindow;
  }

  get closed(): boolean {
    return this.state === StreamState.Closed;
  }

  /** We may still send: neither has our side ended nor the stream. */
  get sending(): boolean {
    return this.state <= StreamState.HalfClosedRemote;
  }

  /** There is something to write, and the stream's own window lets it go. */
  abstract get writable(): boolean;
  /** Undefined where nothing waits and nothing is incomplete. */
  abstract get undelivered(): Undelivered | undefined;
  /** The owner waits for bytes. */
  abstract get readRequested(): boolean;

  /**
   * Writes the header block with which our side opens the stream; the peer knows the stream by `id` from then on.
   * `first`: it is the first block of the connection. Returns false where the stream cannot be opened; it is closed then.
   * Never called for streams of a side that only accepts them.
   */
  open(_id: number, _peer: PeerSettings, _out: FrameWriter, _first: boolean): boolean {
    return false;
  }

  /**
   * Writes at most `room` bytes in DATA frames of at most `maxFrame`. Returns how many bytes were written, which is what
   * flow control counts.
   */
  abstract write(out: FrameWriter, room: number, maxFrame: number): number;

  /** The next bytes may be given; called once after `flushed` was set. */
  abstract announceFlushed(): void;

  /** Ends the stream because the peer broke a rule for it. */
  abstract break(message: string, code: ErrorCode): void;

  /** The header block with which the peer opens the stream has come. */
  protected accepted(id: number, sendWindow: number, end: boolean): void {
    this.id = id;
    this.sendWindow = sendWindow;
    this.state = end ? StreamState.HalfClosedRemote : StreamState.Open;
  }

  /** The header block that opens the stream is written. */
  protected opened(id: number, sendWindow: number): void {
    this.id = id;
    this.sendWindow = sendWindow;
    this.state = StreamState.Open;
  }

  /** END_STREAM is written. */
  protected endedLocally(): void {
    this.state =
      this.state === StreamState.HalfClosedRemote ? StreamState.Closed : StreamState.HalfClosedLocal;
  }

  /** END_STREAM has come. */
  protected endedRemotely(): void {
    this.state =
      this.state === StreamState.HalfClosedLocal ? StreamState.Closed : StreamState.HalfClosedRemote;
  }
}
