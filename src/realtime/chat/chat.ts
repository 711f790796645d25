import type { RoomAuthorizer } from "../../auth/authorizer.js";
import { jsonMembers } from "../../codec/json-members.js";
import { whenReady } from "../../net/when-ready.js";
import { type Failure, GatewayError, gatewayError, gatewayFailure } from "../../status/failure.js";
import type { Bridge } from "../bridge/bridge.js";
import { count } from "../metrics.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { FrameRate, Socket } from "../rooms/socket.js";
import { Commands } from "./commands.js";
import { Departures } from "./departures.js";
import { nameProblem, readFrame } from "./frame-reader.js";
import { inTurn, maxWaiting, notMember, roomOf, tooFast } from "./frame-rules.js";
import type { ClientFrame, FrameId, PresenceFrame, PublishFrame, RefreshFrame, RoomFrame } from "./frames.js";
import { CloseCode, expiring, failed, pong, presence, refreshed } from "./frames.js";
import { Joining } from "./joining.js";
import { Publishing } from "./publishing.js";
import { expiryNoticeMs, type RenewalRules, renew } from "./renewal.js";
import type { RoomTokenProviders } from "./room-tokens.js";

export interface ChatOptions {
  readonly rate: FrameRate;
  /** False: only calls are served. */
  readonly rooms: boolean;
  readonly policy: RoomAuthorizer | undefined;
  readonly bridge: Bridge | undefined;
  /** The verifiers of tokens for rooms, by the name of the provider. */
  readonly tokens: RoomTokenProviders | undefined;
  /** The rules for new tokens of open sockets. */
  readonly renewal: Omit<RenewalRules, "policy">;
}

/** Members that `presence` names. */
const maxNamed = 1000;

/** The protocol `chat`: what a frame of a client does. Each socket's frames take effect in order, room by room. */
export class Chat {
  /** Of sockets that are over. */
  readonly departures: Departures;
  readonly #commands: Commands;
  /** By socket that is not open yet. */
  readonly #expected = new WeakMap<Socket, readonly string[]>();
  readonly #joining = new Joining(this);
  readonly #publishing = new Publishing(this);
  readonly #runner = (socket: Socket, frame: RoomFrame) => this.#run(socket, frame);

  constructor(
    readonly local: LocalHub,
    public options: ChatOptions,
  ) {
    this.#commands = new Commands(this);
    this.departures = new Departures(local);
    local.onLost = sessions => {
      const { bridge } = this.options;
      if (bridge !== undefined) this.departures.lost(bridge, sessions);
    };
  }

  /** A backend makes the socket a member of these rooms when it is open. */
  expect(socket: Socket, rooms: readonly string[]): void {
    this.#expected.set(socket, rooms);
  }

  /** The socket is open: it is a member of the rooms that are its user's. */
  opened(socket: Socket): void {
    if (!this.options.rooms || socket.closed) return;
    const own = socket.identity && this.local.kinds.roomOf(socket.identity.subject);
    const rooms = this.#expected.get(socket);
    this.#expected.delete(socket);
    for (const room of new Set([...(own === undefined ? [] : [own]), ...(rooms ?? [])])) {
      if (nameProblem(room) === undefined) this.enqueue(socket, { type: "subscribe", room_id: room });
    }
  }

  /** A text frame has come. Never throws. */
  receive(socket: Socket, text: string, bytes: number): void {
    if (socket.closed) return;
    const now = performance.now();
    const { metrics } = this.local;
    const { frame, fault } = readFrame(text);
    const type = frame?.type ?? "invalid";
    const traffic = metrics.received.get(type);
    if (traffic !== undefined) count(traffic, 1, bytes);
    if (frame === undefined) {
      metrics.dropped.invalid.inc();
      this.#refuse(socket, fault.failure, fault.id, fault.room);
      this.#strike(socket, now, CloseCode.abuse);
      return;
    }
    if (!socket.admits(now, this.options.rate)) {
      metrics.dropped.rate_limited.inc();
      this.#refuse(socket, tooFast(this.options.rate), frame.id, roomOf(frame));
      this.#strike(socket, now, CloseCode.flood);
      return;
    }
    this.#take(socket, frame, text);
  }

  binary(socket: Socket, bytes: number): void {
    if (socket.closed) return;
    const { metrics } = this.local;
    const traffic = metrics.received.get("invalid");
    if (traffic !== undefined) count(traffic, 1, bytes);
    metrics.dropped.invalid.inc();
    this.#refuse(socket, gatewayFailure("BINARY_FRAME", "frames must be text"), undefined, undefined);
    this.#strike(socket, performance.now(), CloseCode.abuse);
  }

  /** The socket is over: backends are notified that it left its rooms. @param code of the close */
  closed(socket: Socket, code: number): void {
    const { bridge } = this.options;
    const left = this.local.open.remove(socket);
    if (bridge === undefined) return;
    bridge.sessionClosed(socket);
    this.departures.left(bridge, socket, left, code);
  }

  #take(socket: Socket, frame: ClientFrame, text: string): void {
    const { bridge } = this.options;
    if (frame.type === "ping") {
      this.respond(socket, pong(frame.id));
      return;
    }
    if (frame.type === "refresh") {
      this.#renew(socket, frame);
      return;
    }
    if (frame.type === "call" || frame.type === "cancel") {
      if (bridge === undefined) {
        const failure = gatewayFailure("ROUTE_NOT_FOUND", "no method can be called over this socket");
        this.#refuse(socket, failure, frame.id, undefined);
      } else if (frame.type === "call") bridge.call(socket, frame, text);
      else bridge.cancel(socket, frame.id);
      return;
    }
    if (!this.options.rooms) {
      const failure = gatewayFailure("ROUTE_NOT_FOUND", "there are no rooms here; expected a call");
      this.#refuse(socket, failure, frame.id, frame.room_id);
      return;
    }
    const complete = frame.type === "publish" ? withData(frame, text) : frame;
    if (inTurn(socket, complete, this.#runner)) return;
    const failure = gatewayFailure("TOO_MANY_PENDING", `${maxWaiting} frames wait already`, [], {
      retryAfter: 1,
    });
    this.#refuse(socket, failure, frame.id, frame.room_id);
  }

  enqueue(socket: Socket, frame: RoomFrame): boolean {
    return inTurn(socket, frame, this.#runner);
  }

  /** Members leave rooms whose tokens have expired, and are notified before. @param now milliseconds since 1970 */
  expireTokens(socket: Socket, now: number): void {
    for (const [room, token] of socket.roomTokens ?? []) {
      const { expiresAt = Number.POSITIVE_INFINITY } = token;
      if (!socket.rooms.has(room) || this.local.kinds.isOpen(room)) socket.roomTokens?.delete(room);
      else if (expiresAt <= now) {
        socket.roomTokens?.delete(room);
        const leave = { type: "unsubscribe", room_id: room, reason: "TOKEN_EXPIRED", expired: true } as const;
        if (!this.enqueue(socket, leave)) this.local.leave(socket, room);
      } else if (expiresAt - now <= expiryNoticeMs && !token.notified) {
        token.notified = true;
        const text = expiring(Math.ceil((expiresAt - now) / 1000), room);
        if (socket.send(text)) count(this.local.metrics.sent.notice, 1, text.length);
      }
    }
  }

  #renew(socket: Socket, frame: RefreshFrame): void {
    const failed = (error: unknown): void => this.failed(socket, frame, error);
    const { renewal, policy } = this.options;
    const leave = (room: string): void => {
      if (!this.enqueue(socket, { type: "unsubscribe", room_id: room, reason: "POLICY_DENIED" }))
        this.local.leave(socket, room);
    };
    try {
      const renewed = renew({ ...renewal, policy }, socket, frame.token, leave);
      const done = whenReady(renewed, () => this.respond(socket, refreshed(frame.id)));
      if (done instanceof Promise) done.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** @returns a promise, which never rejects, where a backend or the broker is called */
  #run(socket: Socket, frame: RoomFrame): Promise<void> | undefined {
    try {
      const done = this.#dispatch(socket, frame);
      return done?.catch((error: unknown) => this.failed(socket, frame, error));
    } catch (error) {
      this.failed(socket, frame, error);
      return undefined;
    }
  }

  #dispatch(socket: Socket, frame: RoomFrame): Promise<void> | undefined {
    switch (frame.type) {
      case "send-message":
      case "publish":
        return this.#publishing.publish(socket, frame);
      case "subscribe":
        return this.#commands.subscribe(socket, frame);
      case "unsubscribe":
        return this.#commands.unsubscribe(socket, frame);
      case "history":
        return this.#publishing.history(socket, frame);
      case "join-room":
        return this.#joining.join(socket, frame);
      case "leave-room":
        return this.#joining.leave(socket, frame);
      case "presence":
        return this.#presence(socket, frame);
    }
  }

  #presence(socket: Socket, { room_id: room, id }: PresenceFrame): Promise<void> | undefined {
    const joined = socket.rooms.get(room);
    if (joined === undefined) throw notMember(room);
    if (joined.kind.presence === "off")
      throw gatewayError("NOT_ALLOWED_IN_ROOM", "members of this room are not listed: its presence is off");
    return whenReady(this.local.present(room, maxNamed), ({ count: sessions, members }) => {
      const text = presence(id, room, sessions, members);
      if (socket.send(text)) count(this.local.metrics.sent.presence, 1, text.length);
      return undefined;
    });
  }

  respond(socket: Socket, text: string): undefined {
    if (socket.send(text)) count(this.local.metrics.sent.ack, 1, text.length);
    return undefined;
  }

  failed(socket: Socket, frame: Pick<RoomFrame, "id"> & { room_id?: string }, error: unknown): void {
    let failure: Failure;
    if (error instanceof GatewayError) failure = error.failure;
    else {
      this.local.log(error, "a frame could not be processed");
      failure = gatewayFailure("INTERNAL", "internal error; see the gateway log");
    }
    this.local.metrics.dropped.refused.inc();
    this.#refuse(socket, failure, frame.id, frame.room_id);
  }

  #refuse(socket: Socket, failure: Failure, id: FrameId | undefined, room: string | undefined): void {
    const text = failed(failure, id, room);
    if (socket.send(text)) count(this.local.metrics.sent.error, 1, text.length);
  }

  #strike(socket: Socket, now: number, code: number): void {
    if (!socket.strike(now)) return;
    const reason = code === CloseCode.flood ? "RATE_LIMITED" : "TOO_MANY_BAD_FRAMES";
    this.local.open.end(socket, code, `{"reason":"${reason}"}`);
  }
}

/** With its data as the client has written it. */
function withData(frame: PublishFrame, text: string): PublishFrame {
  if (frame.data === undefined) return frame;
  return { ...frame, data: jsonMembers(text).get("data") ?? "null" };
}
