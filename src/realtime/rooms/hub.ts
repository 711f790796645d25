import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import type { Broker, Member, Message, Published, Replay, RoomPosition } from "../brokers/broker.js";
import { retainedSignal } from "../brokers/signals.js";
import { eventExpected, eventName, keyText, nameProblem } from "../chat/frame-reader.js";
import type { Command } from "./command.js";
import type { Content } from "./content.js";
import type { LocalHub } from "./local-hub.js";
import type { DisconnectRequest } from "./open-sockets.js";

/** The operations of servers on rooms and sockets, the same at every node. */
export interface Hub {
  /**
   * Publishes a message as a member would, without being one.
   * @returns undefined for an ephemeral one
   * @throws GatewayError (or rejects with it) where the room, `from` or the message are not acceptable
   */
  publish(post: Post): Published | undefined | Promise<Published | undefined>;
  /** Publishes to several rooms, in order. */
  broadcast(rooms: readonly string[], post: Omit<Post, "room">): Promise<readonly (Published | undefined)[]>;
  /** Rooms that have members here or hold messages, by name. */
  rooms(): readonly RoomSummary[] | Promise<readonly RoomSummary[]>;
  /** Names of the rooms that hold messages. */
  roomNames(): readonly string[] | Promise<readonly string[]>;
  /** On all nodes. */
  members(room: string): readonly Member[] | Promise<readonly Member[]>;
  /**
   * The latest messages, oldest first.
   * @param limit at most; left out, all that are kept
   * @param before only those with a lower number
   */
  history(room: string, limit?: number, before?: number): readonly Message[] | Promise<readonly Message[]>;
  /** The messages behind a position. */
  since(room: string, position: RoomPosition, limit?: number): Replay | Promise<Replay>;
  /**
   * Closes the sockets of a subject or of one session, on all nodes.
   * @returns how many were closed on this one
   * @throws GatewayError (or rejects with it) INVALID_VALUE where the reason is too long; BROKER_UNAVAILABLE where others
   * could not be reached: those of this node are closed then
   */
  disconnect(who: DisconnectRequest): number | Promise<number>;
  /**
   * Does something with the sockets of a subject or of one session, on all nodes, those that are cut off included.
   * @returns how many sockets of this node it is about
   * @throws GatewayError (or rejects with it) as `disconnect`
   */
  command(command: Command): number | Promise<number>;
  /** The frame of a message to a user, in no room. @throws GatewayError */
  directFrame(from: string, content: Content): string;
  /** Whether messages can be published now. */
  readonly ready: boolean;
}

export interface Post extends Content {
  readonly room: string;
  readonly from: string;
  /** It gets no number and is not kept. */
  readonly ephemeral?: boolean | undefined;
  /** Idempotency key: 1 to 128 visible characters. Remembered per room while its message is kept. */
  readonly id?: string | undefined;
}

export interface RoomSummary {
  readonly room: string;
  /** On this node. */
  readonly members: number;
  /** True where the room holds messages. */
  readonly held: boolean;
}

/** Most names or messages that are listed at once. */
const maxListed = 10_000;

/** The operations of servers on the rooms of all nodes, through this one. Checks its input. */
export class ServerHub implements Hub {
  readonly #local: LocalHub;
  readonly #broker: Broker;

  constructor(local: LocalHub) {
    this.#local = local;
    this.#broker = local.broker;
  }

  get ready(): boolean {
    return this.#broker.ready;
  }

  publish({ room, from, id, ephemeral, ...content }: Post) {
    checkName("room", room);
    checkName("from", from);
    checkContent(content);
    if (id !== undefined && (typeof id !== "string" || !keyText.test(id)))
      throw gatewayError("INVALID_VALUE", "id: expected 1 to 128 visible characters");
    if (id !== undefined && ephemeral === true)
      throw gatewayError("INVALID_VALUE", "id: an ephemeral message is not remembered; expected no id");
    return this.#local.send(room, JSON.stringify(from), content, { key: id, ephemeral });
  }

  async broadcast(rooms: readonly string[], post: Omit<Post, "room">) {
    for (const room of rooms) {
      checkName("room", room);
      this.#local.kindOf(room);
    }
    return Promise.all(rooms.map(room => this.publish({ ...post, room })));
  }

  rooms(): readonly RoomSummary[] | Promise<readonly RoomSummary[]> {
    const held = this.roomNames();
    return whenReady(held, names => this.#summaries(names));
  }

  roomNames(): readonly string[] | Promise<readonly string[]> {
    return this.#broker.rooms(maxListed);
  }

  members(name: string): readonly Member[] | Promise<readonly Member[]> {
    checkName("room", name);
    if (this.#local.kindOf(name).presence === "off")
      throw gatewayError("NOT_ALLOWED_IN_ROOM", "members of this room are not listed: its presence is off");
    return this.#local.members(name);
  }

  history(
    name: string,
    limit = maxListed,
    before?: number,
  ): readonly Message[] | Promise<readonly Message[]> {
    checkName("room", name);
    this.#local.kindOf(name);
    return this.#broker.history(name, limit, before);
  }

  since(name: string, position: RoomPosition, limit = maxListed): Replay | Promise<Replay> {
    checkName("room", name);
    this.#local.kindOf(name);
    return this.#broker.since(name, position, limit);
  }

  disconnect(who: DisconnectRequest): number | Promise<number> {
    if (Buffer.byteLength(who.reason) > maxReasonBytes)
      throw gatewayError("INVALID_VALUE", `reason: expected at most ${maxReasonBytes} bytes`);
    const closed = this.#local.open.disconnect(who);
    const signalled = this.#broker.signal(JSON.stringify(who));
    return signalled instanceof Promise ? signalled.then(() => closed) : closed;
  }

  command(command: Command): number | Promise<number> {
    if ("room" in command) {
      checkName("room", command.room);
      this.#local.kindOf(command.room);
    }
    const reached = this.#local.onCommand?.(command) ?? 0;
    const retained = command.do === "unsubscribe" && command.banned !== undefined;
    const text = JSON.stringify({ command });
    const signalled = this.#broker.signal(retained ? retainedSignal(text) : text);
    return signalled instanceof Promise ? signalled.then(() => reached) : reached;
  }

  directFrame(from: string, content: Content): string {
    checkName("from", from);
    checkContent(content);
    return this.#local.directFrame(from, content);
  }

  #summaries(held: readonly string[]): readonly RoomSummary[] {
    const rooms = new Map<string, RoomSummary>();
    for (const { name, members } of this.#local.rooms()) {
      if (rooms.size >= maxListed) break;
      rooms.set(name, { room: name, members: members.size, held: false });
    }
    for (const room of held) rooms.set(room, { room, members: rooms.get(room)?.members ?? 0, held: true });
    return [...rooms.values()].sort((a, b) => (a.room < b.room ? -1 : 1));
  }
}

/** Most bytes of the reason in a close frame (RFC 6455 section 5.5). */
const maxReasonBytes = 123;

/** @throws GatewayError INVALID_VALUE */
function checkContent({ message, event, data }: Content): void {
  const text = message as unknown;
  if (text !== undefined && typeof text !== "string")
    throw gatewayError("INVALID_VALUE", "message: expected a string");
  if (event !== undefined && !eventName.test(event))
    throw gatewayError("INVALID_VALUE", `event: expected ${eventExpected}`);
  if (message === undefined && event === undefined && data === undefined)
    throw gatewayError("INVALID_VALUE", "message not provided");
  if (message !== undefined && (event !== undefined || data !== undefined))
    throw gatewayError("INVALID_VALUE", "expected either message, or event and data");
}

function checkName(field: string, value: unknown): void {
  const expected = nameProblem(value);
  if (value === undefined || value === "") throw gatewayError("INVALID_VALUE", `${field} not provided`);
  if (expected !== undefined) throw gatewayError("INVALID_VALUE", `${field}: expected ${expected}`);
}
