import { type Failure, shownCode } from "../../status/failure.js";
import type { Member, RoomPosition } from "../brokers/broker.js";

/** A client's id of a frame, to find the response to it: a string of 1 to 64 characters or an integer. */
export type FrameId = string | number;

export interface JoinFrame {
  readonly type: "join-room";
  readonly room_id: string;
  readonly from?: string;
  readonly id?: FrameId;
  readonly since?: RoomPosition;
  /** Allows the room, where that needs a token. */
  readonly token?: string;
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
  /** Of two messages of one sender with the same key in one room the second is not published. */
  readonly key?: string;
  readonly id?: FrameId;
}

/** A message that is no text, or a passing one. */
export interface PublishFrame {
  readonly type: "publish";
  readonly room_id: string;
  readonly from?: string;
  /** The kind of message, for its receivers. */
  readonly event?: string;
  /** JSON text: numbers keep their digits. */
  readonly data?: string;
  /** Without a number, and not kept. */
  readonly ephemeral?: boolean;
  readonly key?: string;
  readonly id?: FrameId;
  /** The text that a backend publishes instead of `data`. */
  readonly message?: string;
}

/** Requests the history of a room, page by page. */
export interface HistoryFrame {
  readonly type: "history";
  readonly room_id: string;
  /** Messages below that number; left out, the latest. */
  readonly before?: number;
  readonly limit?: number;
  readonly id?: FrameId;
}

/** A command of a server, in the queue of the client's frames. */
export interface SubscribeFrame {
  readonly type: "subscribe";
  readonly room_id: string;
  readonly id?: undefined;
}

export interface UnsubscribeFrame {
  readonly type: "unsubscribe";
  readonly room_id: string;
  readonly reason: string | undefined;
  /** Only where no newer token has replaced the expired one. */
  readonly expired?: boolean;
  readonly id?: undefined;
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

/** Requests a `pong`, since browsers cannot send pings of their WebSockets. */
export interface PingFrame {
  readonly type: "ping";
  readonly id?: FrameId;
}

/** Another token of the same subject replaces the one by which the socket was opened. */
export interface RefreshFrame {
  readonly type: "refresh";
  readonly token: string;
  readonly id?: FrameId;
}

/** Frames about a room: those of one room take effect in order. */
export type RoomFrame =
  | JoinFrame
  | LeaveFrame
  | SendFrame
  | PublishFrame
  | PresenceFrame
  | HistoryFrame
  | SubscribeFrame
  | UnsubscribeFrame;

/** The frames that a client can send; `from` is filled in before a frame is handled. */
export type ClientFrame = RoomFrame | CallFrame | CancelFrame | PingFrame | RefreshFrame;

/** The event about the socket itself for a backend, in the same form. */
export interface ConnectFrame {
  readonly type: "connect";
  readonly from: string;
  /** Rooms that the backend makes it a member of. */
  readonly rooms?: readonly string[];
}

export interface DisconnectFrame {
  readonly type: "disconnect";
  readonly from: string;
  /** Close code of RFC 6455 section 7.4, 1006 where none was received. */
  readonly code: number;
}

/** The gateway's own frames, as JSON text. */

/** Notifies members of one that joins or leaves. */
export function notice(
  type: "join-room" | "leave-room",
  room: string,
  from: string,
  session?: string,
): string {
  const socket = session === undefined ? "" : `,"session":${quote(session)}`;
  return `{"type":"${type}","room_id":${quote(room)},"from":${quote(from)}${socket}}`;
}

/** Notifies members of all that have joined and left in a while. @param count of sockets in the room now */
export function digest(
  room: string,
  joined: readonly string[],
  left: readonly string[],
  count: number,
  more: boolean,
): string {
  const rest = more ? ',"more":true' : "";
  return `{"type":"members","room_id":${quote(room)},"joined":${JSON.stringify(joined)},"left":${JSON.stringify(left)},"count":${count}${rest}}`;
}

/** A frame with an id has taken effect; `recovered` responds to `since`. */
export function ack(
  id: FrameId | undefined,
  room: string,
  position: (RoomPosition & { readonly duplicate?: boolean }) | undefined,
  recovered?: boolean,
): string {
  const where = position === undefined ? "" : `,"seq":${position.seq},"epoch":${quote(position.epoch)}`;
  const known = position?.duplicate === true ? ',"duplicate":true' : "";
  const outcome = recovered === undefined ? known : `${known},"recovered":${recovered}`;
  return `{"type":"ack"${idField(id)},"room_id":${quote(room)}${where}${outcome}}`;
}

/** A server has made the client a member. */
export function joined(room: string, { epoch, seq }: RoomPosition): string {
  return `{"type":"joined","room_id":${quote(room)},"seq":${seq},"epoch":${quote(epoch)}}`;
}

/** A server has ended the client's membership. */
export function left(room: string, reason: string | undefined): string {
  const why = reason === undefined ? "" : `,"reason":${quote(reason)}`;
  return `{"type":"left","room_id":${quote(room)}${why}}`;
}

/** A message of a server to a client, in no room. @param content as `contentMembers` writes it */
export function direct(from: string, content: string, sentAt: number): string {
  return `{"type":"direct-message","from":${quote(from)},${content},"sent_at":${sentAt}}`;
}

/** Messages that the client is never sent: `from` to `to`, both included. */
export function gap(room: string, epoch: string, from: number, to: number): string {
  return `{"type":"gap","room_id":${quote(room)},"epoch":${quote(epoch)},"from":${from},"to":${to}}`;
}

/** The members, at most a thousand of them: each name once, or each session, and how many sessions in all. */
export function presence(
  id: FrameId | undefined,
  room: string,
  count: number,
  members: Iterable<string | Member>,
): string {
  return `{"type":"presence"${idField(id)},"room_id":${quote(room)},"count":${count},"members":${JSON.stringify([...members])}}`;
}

/** Messages of a room, oldest first. @param more whether older ones are kept */
export function historyPage(
  id: FrameId | undefined,
  room: string,
  { epoch, messages, more }: { epoch: string; messages: readonly string[]; more: boolean },
): string {
  return `{"type":"history"${idField(id)},"room_id":${quote(room)},"epoch":${quote(epoch)},"messages":[${messages.join(",")}],"more":${more}}`;
}

/** The new token holds from now on. */
export function refreshed(id: FrameId | undefined): string {
  return `{"type":"ack"${idField(id)}}`;
}

/** The token ends in that many seconds, and the socket with it, or its membership in the room. */
export function expiring(seconds: number, room?: string): string {
  const where = room === undefined ? "" : `,"room_id":${quote(room)}`;
  return `{"type":"expiring"${where},"expires_in":${seconds}}`;
}

export function pong(id: FrameId | undefined): string {
  return `{"type":"pong"${idField(id)}}`;
}

export function failed(
  { reason, message, retryAfter }: Failure,
  id: FrameId | undefined,
  room: string | undefined,
): string {
  const where = room === undefined ? "" : `,"room_id":${quote(room)}`;
  const wait = retryAfter === undefined ? "" : `,"retry_after":${retryAfter}`;
  return `{"type":"error"${idField(id)}${where},"reason":${quote(reason)},"message":${quote(message)}${wait}}`;
}

function idField(id: FrameId | undefined): string {
  return id === undefined ? "" : `,"id":${JSON.stringify(id)}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

/** Why the gateway ends a socket: RFC 6455 section 7.4, and private codes whose last digits are the HTTP status. */
export const CloseCode = {
  /** A message above the limit. */
  tooLarge: 1009,
  restart: 1012,
  /** Too many frames that could not be read. */
  abuse: 4400,
  /** The credential of the upgrade is no longer valid. */
  expired: 4401,
  /** Requested by a server. */
  disconnected: 4403,
  /** The client reads more slowly than its rooms send; it can resume by `since`. */
  slow: 4008,
  /** Too many frames. */
  flood: 4029,
  /** The user has opened another socket of the same class. */
  replaced: 4409,
  /** The user has as many sockets of the class as it may. */
  tooManySessions: 4429,
} as const;

/** Those that are counted one by one; all others that clients may send are one. */
export const countedCodes: ReadonlySet<number> = new Set([
  1000,
  1001,
  1002,
  1003,
  1005,
  1006,
  1007,
  1008,
  1011,
  ...Object.values(CloseCode),
]);

/** The frames that respond to a call. `body` is JSON text. */

export function replyFrame(id: FrameId, body: string): string {
  return `{"type":"reply","id":${JSON.stringify(id)},"body":${body}}`;
}

export function eventFrame(id: FrameId, body: string): string {
  return `{"type":"event","id":${JSON.stringify(id)},"body":${body}}`;
}

export function endFrame(id: FrameId): string {
  return `{"type":"end","id":${JSON.stringify(id)}}`;
}

/** @param details each detail of the failure as the JSON text of an Any */
export function errorFrame(id: FrameId, failure: Failure, details: readonly string[]): string {
  const { reason, message, retryAfter } = failure;
  const wait = retryAfter === undefined ? "" : `,"retry_after":${retryAfter}`;
  const more = details.length === 0 ? "" : `,"details":[${details.join(",")}]`;
  return `{"type":"error","id":${JSON.stringify(id)},"code":${shownCode(failure)},"reason":${JSON.stringify(reason)},"message":${JSON.stringify(message)}${wait}${more}}`;
}
