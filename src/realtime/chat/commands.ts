import { whenReady } from "../../net/when-ready.js";
import type { Bridge } from "../bridge/bridge.js";
import { count } from "../metrics.js";
import type { Command } from "../rooms/command.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { Socket } from "../rooms/socket.js";
import { nameProblem } from "./frame-reader.js";
import { joined, left, type RoomFrame, type SubscribeFrame, type UnsubscribeFrame } from "./frames.js";

export interface CommandsOwner {
  readonly local: LocalHub;
  readonly options: { readonly bridge: Bridge | undefined };
  /** In its turn among the frames of the room. @returns false where too many wait */
  enqueue(socket: Socket, frame: RoomFrame): boolean;
}

/** The commands of servers on sockets of this node, each in its turn among the frames that its client sends. */
export class Commands {
  readonly #owner: CommandsOwner;

  constructor(owner: CommandsOwner) {
    this.#owner = owner;
    owner.local.onCommand = command => this.#run(command);
  }

  /** @returns how many sockets it is about */
  #run(command: Command): number {
    const { local } = this.#owner;
    if (command.do === "unsubscribe" && command.banned !== undefined) {
      const { subject, until } = command.banned;
      local.bans.add(command.room, subject, until);
    }
    const sockets = local.open.of(command.who);
    switch (command.do) {
      case "send": {
        const bytes = Buffer.byteLength(command.frame);
        const sent = sockets.filter(socket => socket.send(command.frame));
        count(local.metrics.sent.other, sent.length, bytes);
        return sent.length;
      }
      case "end":
        for (const socket of sockets) local.open.end(socket, command.code, command.reason);
        return sockets.length;
      case "subscribe":
        return sockets.filter(socket =>
          this.#owner.enqueue(socket, { type: "subscribe", room_id: command.room }),
        ).length;
      case "unsubscribe": {
        const { room: name, reason } = command;
        const members = sockets.filter(socket => socket.rooms.has(name) || socket.lanes?.has(name));
        return members.filter(socket =>
          this.#owner.enqueue(socket, { type: "unsubscribe", room_id: name, reason }),
        ).length;
      }
    }
  }

  subscribe(socket: Socket, { room_id: room }: SubscribeFrame): Promise<void> | undefined {
    const { subject } = socket;
    // It stays, whenever the token ends that it has joined with.
    socket.roomTokens?.delete(room);
    // A client that never sent a name has none.
    if (socket.rooms.has(room) || nameProblem(subject) !== undefined) return undefined;
    const done = this.#owner.local.join(socket, room, subject, undefined, position =>
      this.#notify(socket, joined(room, position)),
    );
    return done ?? undefined;
  }

  unsubscribe(socket: Socket, frame: UnsubscribeFrame): Promise<void> | undefined {
    const { local, options } = this.#owner;
    const { room_id: room, reason } = frame;
    const from = socket.rooms.get(room)?.members.get(socket);
    if (from === undefined || (frame.expired && socket.roomTokens?.has(room))) return undefined;
    local.leave(socket, room);
    this.#notify(socket, left(room, reason));
    if (options.bridge === undefined || !local.isBridged("leave", room)) return undefined;
    const notified = options.bridge.event("leave", socket, { type: "leave-room", room_id: room, from });
    return whenReady(notified, () => undefined);
  }

  #notify(socket: Socket, text: string): void {
    if (socket.send(text)) count(this.#owner.local.metrics.sent.notice, 1, text.length);
  }
}
