import type { Bridge, Session } from "../bridge/bridge.js";
import type { LostSession } from "../brokers/broker.js";
import type { LocalHub } from "../rooms/local-hub.js";
import { isRoomName } from "../rooms/session-classes.js";
import type { Socket } from "../rooms/socket.js";
import type { LeaveFrame } from "./frames.js";

/** Notifies backends of sockets that are over: of each room that they were in, then of their end. */
export class Departures {
  readonly #local: LocalHub;
  readonly #notifying = new Set<Promise<void>>();
  /** Of those another node has notified backends that they are gone. */
  readonly #reported = new WeakSet<Socket>();

  constructor(local: LocalHub) {
    this.#local = local;
  }

  /** @param rooms that it was in, with its name in each @param code of the close */
  left(bridge: Bridge, socket: Socket, rooms: ReadonlyMap<string, string>, code: number): void {
    if (this.#reported.delete(socket)) return;
    this.#track(this.#notify(bridge, socket, leavesOf(rooms), code, socket.lanes));
  }

  /** On behalf of a node that died. */
  lost(bridge: Bridge, sessions: ReadonlyMap<string, LostSession>): void {
    for (const [id, { rooms, subject }] of sessions) {
      const leaves = leavesOf([...rooms].filter(([room]) => isRoomName(room)));
      this.#track(this.#notify(bridge, new LostSocket(id, subject), leaves, 1006, undefined));
    }
  }

  /** Backends have been notified, by another node, that all sockets of this one are gone. */
  reported(): void {
    for (const socket of this.#local.open) this.#reported.add(socket);
  }

  /** Resolves when backends have been notified of all sockets that are over. */
  async settled(): Promise<void> {
    while (this.#notifying.size > 0) await Promise.all(this.#notifying);
  }

  #track(notifying: Promise<void>): void {
    const notified = notifying.finally(() => this.#notifying.delete(notified));
    this.#notifying.add(notified);
  }

  /** After pending events of the rooms. */
  async #notify(
    bridge: Bridge,
    socket: Session,
    leaves: readonly LeaveFrame[],
    code: number,
    lanes: Socket["lanes"],
  ): Promise<void> {
    const running = new Map(Array.from(lanes ?? [], ([room, lane]) => [room, lane.running]));
    const left = leaves.map(async leave => {
      await running.get(leave.room_id);
      if (this.#local.isBridged("leave", leave.room_id)) await bridge.event("leave", socket, leave);
    });
    await Promise.all([...left, ...running.values()]);
    await bridge.event("disconnect", socket, { type: "disconnect", from: socket.subject, code });
  }
}

function leavesOf(rooms: Iterable<readonly [room: string, from: string]>): LeaveFrame[] {
  return Array.from(rooms, ([room, from]) => ({ type: "leave-room", room_id: room, from }));
}

/** A socket of a node that died, as far as it is known. */
class LostSocket implements Session {
  readonly identity = undefined;
  readonly clientAddress = "";
  readonly buffered = 0;
  readonly closed = true;

  constructor(
    readonly id: string,
    readonly subject: string,
  ) {}

  get requestId(): string {
    return this.id;
  }

  send(): boolean {
    return false;
  }
}
