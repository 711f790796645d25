import type { Position } from "../brokers/broker.js";

/** What a client may name its frame, to find the answer to it: a string of 1 to 64 characters or an integer. */
export type FrameId = string | number;

export interface JoinFrame {
  readonly type: "join-room";
  readonly room_id: string;
  readonly from?: string;
  readonly id?: FrameId;
  readonly since?: Position;
}

export interface LeaveFrame {
  readonly type: "leave-room";
  readonly room_id: string;
  readonly from?: string;
  readonly id?: FrameId;
}

export interface SendFrame {
  readonly type: "send-message";
  readonly room_id: string;
  readonly from?: string;
  readonly message: string;
  readonly id?: FrameId;
}

export interface PresenceFrame {
  readonly type: "presence";
  readonly room_id: string;
  readonly id?: FrameId;
}

export interface CallFrame {
  readonly type: "call";
  readonly id: FrameId;
  /** `package.Service/Method` */
  readonly method: string;
  /** A JSON object; left out it is an empty one. */
  readonly body?: Readonly<Record<string, unknown>>;
}

export interface CancelFrame {
  readonly type: "cancel";
  readonly id: FrameId;
}

/** Frames about a room: those of one room take effect in order. */
export type RoomFrame = JoinFrame | LeaveFrame | SendFrame | PresenceFrame;

/** What a client can send; `from` is filled in before anybody else sees a frame. */
export type ClientFrame = RoomFrame | CallFrame | CancelFrame;

/** What the gateway tells a backend about the socket itself, in the same form. */
export interface ConnectFrame {
  readonly type: "connect";
  readonly from: string;
}

export interface DisconnectFrame {
  readonly type: "disconnect";
  readonly from: string;
  /** Close code of RFC 6455 section 7.4, 1006 where none was received. */
  readonly code: number;
}
