import { type Failure, GatewayError, gatewayError, gatewayFailure } from "../../status/failure.js";
import type { EventOutcome } from "../bridge/bridge.js";
import type { FrameRate, Lane, Socket } from "../rooms/socket.js";
import { nameProblem } from "./frame-reader.js";
import type {
  ClientFrame,
  HistoryFrame,
  PresenceFrame,
  RoomFrame,
  SubscribeFrame,
  UnsubscribeFrame,
} from "./frames.js";

/**
 * The sender of a frame: the authenticated subject, else the name that joined the room, else the claimed one.
 * @throws GatewayError where it claims another user, or none where it must name one
 */
export function claimed(
  socket: Socket,
  frame: Exclude<RoomFrame, PresenceFrame | HistoryFrame | SubscribeFrame | UnsubscribeFrame>,
  joined: string | undefined,
): string {
  const { from } = frame;
  const own = socket.identity?.subject ?? joined;
  if (own === undefined) {
    if (from === undefined) throw gatewayError("INVALID_VALUE", "from not provided");
    return from;
  }
  // A backend may have given the member another name: both are the sender's.
  if (from === undefined || from === own || from === joined) return joined ?? own;
  throw gatewayError(
    "FROM_MISMATCH",
    `from must equal ${JSON.stringify(own)}, the name of the sender, or be left out`,
  );
}

/** The sender's name as a backend has rewritten it, where that is a name at all. */
export function rewrittenName(name: unknown, from: string): string {
  return name !== undefined && nameProblem(name) === undefined ? (name as string) : from;
}

/** Only members may. */
export function notMember(room: string): GatewayError {
  return gatewayError("NOT_A_MEMBER", `join the room ${JSON.stringify(room)} first`);
}

/** The error for a refusal by a backend. */
export function refused({ failure }: Extract<EventOutcome, { allow: false }>): GatewayError {
  return new GatewayError(failure);
}

/** The socket has sent more than its rate. */
export function tooFast({ perSecond }: FrameRate): Failure {
  return gatewayFailure("RATE_LIMITED", `a socket may send ${perSecond} frames a second`, [], {
    retryAfter: 1,
  });
}

/** The room that a frame is about, where it is about one. */
export function roomOf(frame: ClientFrame): string | undefined {
  return "room_id" in frame ? frame.room_id : undefined;
}

/** Frames of one socket that may wait for backends. */
export const maxWaiting = 64;

/** Executes a frame. @returns a promise, which never rejects, where a backend or the broker is called */
type Run = (socket: Socket, frame: RoomFrame) => Promise<void> | undefined;

/**
 * Runs a frame when those before it about the same room are done, at once where there are none.
 * @returns false where too many wait already: it is never run then
 */
export function inTurn(socket: Socket, frame: RoomFrame, run: Run): boolean {
  const lane = socket.lanes?.get(frame.room_id);
  if (lane === undefined) {
    const done = run(socket, frame);
    if (done !== undefined) hold(socket, frame.room_id, done, run);
    return true;
  }
  if (socket.waiting >= maxWaiting) return false;
  socket.waiting++;
  lane.waiting.push(frame);
  return true;
}

/** Further frames for the room wait until `running` is done. */
function hold(socket: Socket, room: string, running: Promise<void>, run: Run): void {
  const lane: Lane = { waiting: [], running };
  socket.lanes ??= new Map();
  socket.lanes.set(room, lane);
  const next = (): void => {
    while (!socket.closed) {
      const frame = lane.waiting.shift();
      if (frame === undefined) break;
      socket.waiting--;
      const done = run(socket, frame);
      if (done === undefined) continue;
      lane.running = done;
      void done.then(next);
      return;
    }
    socket.lanes?.delete(room);
    if (socket.lanes?.size === 0) socket.lanes = undefined;
  };
  void running.then(next);
}
