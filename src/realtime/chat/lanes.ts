import type { RoomFrame } from "./frames.js";
import type { Lane, Socket } from "../rooms/socket.js";

/** Frames of one socket that may wait for backends. */
export const maxWaiting = 64;

/** Does what a frame says. @returns a promise, which never rejects, where somebody else must be asked */
export type Run = (socket: Socket, frame: RoomFrame) => Promise<void> | undefined;

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

/** What comes for the room waits until `running` is done. */
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
