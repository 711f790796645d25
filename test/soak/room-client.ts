import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";
import {
  Client,
  type Position,
  RealtimeError,
  type Room,
  type Transport,
  type WebSocketConstructor,
} from "../../clients/js/src/index.js";
import { type Line, startLine } from "../demo/page/line.js";
import type { Gateway } from "./room-gateway.js";
import { MemberLedger, type RoomLedger, textOf } from "./room-ledger.js";

/** Milliseconds between two messages of a client, and those in which one is sent again. */
const restMs = 20;
const sendMs = 120_000;

const webSocket = WebSocket as unknown as WebSocketConstructor;

/** A client over a wire of its own, member of all rooms, which accounts for every message and sends some itself. */
export class RoomClient {
  readonly name: string;
  gateway: Gateway;
  /** Messages of it that were acknowledged. */
  acknowledged = 0;
  readonly #transport: "websocket" | Transport;
  readonly #line: Line;
  readonly #ledgers: ReadonlyMap<RoomLedger, MemberLedger>;
  readonly #broken: (what: string) => void;
  #client: Client | undefined;
  #rooms: readonly (readonly [Room, RoomLedger])[] = [];
  /** The client program that runs now is the n-th one. */
  #run = 0;
  #number = 0;
  #over = false;
  #sending: Promise<void> = Promise.resolve();

  private constructor(
    name: string,
    transport: "websocket" | Transport,
    gateway: Gateway,
    line: Line,
    rooms: readonly RoomLedger[],
    broken: (what: string) => void,
  ) {
    this.name = name;
    this.gateway = gateway;
    this.#transport = transport;
    this.#line = line;
    this.#broken = what => broken(`${name}: ${what}`);
    this.#ledgers = new Map(
      rooms.map(room => [room, new MemberLedger(room, what => this.#broken(`${room.name}: ${what}`))]),
    );
  }

  static async start(
    name: string,
    transport: "websocket" | Transport,
    gateway: Gateway,
    rooms: readonly RoomLedger[],
    broken: (what: string) => void,
  ): Promise<RoomClient> {
    const line = await startLine(gateway.port);
    const client = new RoomClient(name, transport, gateway, line, rooms, broken);
    await client.#open();
    return client;
  }

  get ledgers(): readonly MemberLedger[] {
    return [...this.#ledgers.values()];
  }

  get state(): string {
    return this.#client?.state.state ?? "closed";
  }

  /**
   * Connections to come are to that gateway. Open WebSockets stay; the requests of a session are to one gateway, so its
   * connections end.
   */
  move(gateway: Gateway): void {
    if (gateway !== this.gateway && this.#transport !== "websocket") this.#line.cut();
    this.gateway = gateway;
    this.#line.restore(gateway.port);
  }

  /** Ends all connections, and has no network until `move`. */
  cut(): void {
    this.#line.cut();
  }

  /** What is under way over its connections is lost, and both ends learn nothing of it. */
  hold(): void {
    this.#line.hold();
  }

  /** Ends the program of the client without a word, and starts it again with the positions that it had. */
  async restart(): Promise<void> {
    this.#client?.close();
    await this.#open();
  }

  async #open(): Promise<void> {
    this.#run++;
    const before = this.#rooms;
    const client = new Client({
      url: `ws://127.0.0.1:${this.#line.port}/ws`,
      webSocket,
      transports: [this.#transport],
      backoff: { min: 20, max: 500 },
      responseTimeout: 1000,
      heartbeat: 1000,
      rate: { burst: 1000, perSecond: 1000 },
    });
    this.#client = client;
    this.#rooms = [...this.#ledgers].map(([ledger, member], index) => {
      const room = client.room(ledger.name, { from: this.name, since: before[index]?.[0].position });
      room.on("joined", () => member.joined(room.position));
      room.on("message", ({ epoch, seq, message }) => member.message(epoch, seq, message));
      room.on("lost", loss => member.loss(loss));
      room.on("refused", ({ reason }) => {
        if (reason !== "CLOSED") this.#broken(`${ledger.name}: refused: ${reason}`);
      });
      return [room, ledger] as const;
    });
    await Promise.all(this.#rooms.map(([room]) => room.join()));
  }

  /** Sends one message after the other, to each room in turn, until it is closed. */
  speak(): void {
    this.#sending = this.#speak();
  }

  async #speak(): Promise<void> {
    for (let index = 0; !this.#over; index++) {
      await this.say(index % this.#rooms.length);
      await pause(restMs);
    }
  }

  /** Sends a message to a room. Undefined where nobody knows whether it is published, as the client was restarted. */
  async say(index: number): Promise<Position | undefined> {
    const [room, ledger] = this.#rooms[index] ?? [];
    if (room === undefined || ledger === undefined) return undefined;
    const text = textOf(`${this.name}.${this.#run}`, ++this.#number);
    try {
      const position = await room.send(text, { timeout: sendMs });
      ledger.published(position, text);
      this.acknowledged++;
      return position;
    } catch (error) {
      const reason = error instanceof RealtimeError ? error.reason : String(error);
      if (reason !== "CLOSED" && reason !== "NOT_JOINED") this.#broken(`"${text}" is not sent: ${reason}`);
      return undefined;
    }
  }

  /** It sends nothing more. */
  async quiet(): Promise<void> {
    this.#over = true;
    await this.#sending;
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#client?.close();
    await this.#line.close();
  }
}
