import type { Failure } from "../../status/failure.js";
import type { Position } from "../brokers/broker.js";
import type { FrameId } from "./frames.js";

/** The frames that the gateway itself says, as JSON text. */

/** What members are told of someone who joins or leaves. */
export function notice(type: "join-room" | "leave-room", room: string, from: string): string {
  return `{"type":"${type}","room_id":${quote(room)},"from":${quote(from)}}`;
}

/** A frame with an id has taken effect; `recovered` answers `since`. */
export function ack(
  id: FrameId | undefined,
  room: string,
  position: Position | undefined,
  recovered?: boolean,
): string {
  const place = position === undefined ? "" : `,"seq":${position.seq},"epoch":${quote(position.epoch)}`;
  const answer = recovered === undefined ? "" : `,"recovered":${recovered}`;
  return `{"type":"ack"${idField(id)},"room_id":${quote(room)}${place}${answer}}`;
}

/** What the client is never told of a room: `from` to `to`, both lost. */
export function gap(room: string, epoch: string, from: number, to: number): string {
  return `{"type":"gap","room_id":${quote(room)},"epoch":${quote(epoch)},"from":${from},"to":${to}}`;
}

/** Who is there: each name once, at most a thousand of them, and how many sessions in all. */
export function presence(
  id: FrameId | undefined,
  room: string,
  count: number,
  names: Iterable<string>,
): string {
  return `{"type":"presence"${idField(id)},"room_id":${quote(room)},"count":${count},"members":${JSON.stringify([...names])}}`;
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
