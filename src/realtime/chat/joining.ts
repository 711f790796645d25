import type { RoomAuthorizer } from "../../auth/authorizer.js";
import { whenReady } from "../../net/when-ready.js";
import type { Bridge } from "../bridge/bridge.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { RoomToken } from "../rooms/room-kinds.js";
import type { Socket } from "../rooms/socket.js";
import { claimed, notMember, refused, rewrittenName } from "./frame-rules.js";
import { ack, type JoinFrame, type LeaveFrame } from "./frames.js";
import { type RoomTokenProviders, verifyRoomToken } from "./room-tokens.js";

export interface JoiningOwner {
  readonly local: LocalHub;
  readonly options: {
    readonly policy: RoomAuthorizer | undefined;
    readonly bridge: Bridge | undefined;
    /** The verifiers of tokens for rooms, by the name of the provider. */
    readonly tokens: RoomTokenProviders | undefined;
    /** The path at which sockets are opened. */
    readonly renewal: { readonly path: string };
  };
  respond(socket: Socket, text: string): undefined;
}

/** Joining rooms and leaving them, by frames of clients. */
export class Joining {
  readonly #owner: JoiningOwner;

  constructor(owner: JoiningOwner) {
    this.#owner = owner;
  }

  join(socket: Socket, frame: JoinFrame): Promise<void> | undefined {
    const rule = this.#owner.local.kindOf(frame.room_id).token;
    if (rule === undefined) return this.#joinAs(socket, frame, undefined);
    const { renewal, tokens } = this.#owner.options;
    const verified = verifyRoomToken(tokens?.(rule.provider), rule.claim, renewal.path, socket, frame);
    const done = whenReady(verified, token => this.#joinAs(socket, frame, token));
    return done ?? undefined;
  }

  #joinAs(socket: Socket, frame: JoinFrame, token: RoomToken | undefined): Promise<void> | undefined {
    const { policy, bridge } = this.#owner.options;
    const from = claimed(
      socket,
      frame,
      socket.rooms.get(frame.room_id)?.members.get(socket) ?? token?.subject,
    );
    this.#owner.local.bans.require(frame.room_id, socket.identity?.subject ?? from);
    this.#owner.local.kinds.requireOwner(frame.room_id, socket.identity?.subject);
    policy?.require(socket.identity, frame.room_id);
    if (socket.identity === undefined) socket.subject = from;
    if (
      bridge === undefined ||
      socket.rooms.has(frame.room_id) ||
      !this.#owner.local.isBridged("join", frame.room_id)
    )
      return this.#enter(socket, frame, from, token);
    this.#owner.local.requireRoom(socket);
    const entered = whenReady(bridge.event("join", socket, { ...frame, from }), outcome => {
      if (!outcome.allow) throw refused(outcome);
      return this.#enterAllowed(bridge, socket, frame, rewrittenName(outcome.frame.from, from), token);
    });
    return entered ?? undefined;
  }

  /** Where it does not get in after all, the backend believes that it is. */
  async #enterAllowed(
    bridge: Bridge,
    socket: Socket,
    frame: JoinFrame,
    from: string,
    token: RoomToken | undefined,
  ): Promise<void> {
    try {
      await this.#enter(socket, frame, from, token);
    } catch (error) {
      if (this.#owner.local.isBridged("leave", frame.room_id))
        await bridge.event("leave", socket, { type: "leave-room", room_id: frame.room_id, from });
      throw error;
    }
  }

  #enter(
    socket: Socket,
    { room_id: room, since, id }: JoinFrame,
    from: string,
    token: RoomToken | undefined,
  ): Promise<void> | undefined {
    const done = this.#owner.local.join(socket, room, from, since, joined => {
      if (token !== undefined) {
        socket.roomTokens ??= new Map();
        socket.roomTokens.set(room, token);
      }
      if (id !== undefined || since !== undefined) {
        this.#owner.respond(socket, ack(id, room, joined, joined.recovered));
      }
    });
    return done ?? undefined;
  }

  leave(socket: Socket, frame: LeaveFrame): Promise<void> | undefined {
    const { bridge } = this.#owner.options;
    const { room_id: name, id } = frame;
    const joined = socket.rooms.get(name)?.members.get(socket);
    if (joined === undefined) throw notMember(name);
    const from = claimed(socket, frame, joined);
    this.#owner.local.leave(socket, name);
    if (id !== undefined) this.#owner.respond(socket, ack(id, name, undefined));
    if (bridge === undefined || !this.#owner.local.isBridged("leave", name)) return undefined;
    return whenReady(bridge.event("leave", socket, { ...frame, from }), () => undefined);
  }
}
