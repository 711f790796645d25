import assert from "node:assert/strict";
import { Registry } from "prom-client";
import {
  type Broker,
  type Published,
  type Receiver,
  type Replay,
  type RoomDraft,
  type RoomPosition,
  stamped,
} from "../../src/realtime/brokers/broker.js";
import { History } from "../../src/realtime/brokers/history.js";
import { MemoryLeases } from "../../src/realtime/brokers/memory-leases.js";
import { RealtimeMetrics } from "../../src/realtime/metrics.js";
import { type HubLimits, LocalHub } from "../../src/realtime/rooms/local-hub.js";
import { Socket } from "../../src/realtime/rooms/socket.js";

/** Rooms and sockets without a network: what leaves a socket's buffer when is for the test to say. */
export class World {
  readonly broker: ModelBroker;
  readonly hub: LocalHub;
  readonly wires: Wire[] = [];
  readonly app = { publish: (topic: string, text: string) => this.#publish(topic, text) };
  readonly #ends = new Map<string, number>();
  #ids = 0;

  constructor(limits: HubLimits, history: number, asynchronous: boolean) {
    this.broker = new ModelBroker(history, asynchronous);
    this.hub = new LocalHub(this.broker, new RealtimeMetrics(new Registry()), undefined, limits);
    this.broker.start(this.hub);
    this.hub.fanOut.attach(this.app);
  }

  open(): Wire {
    const client = { identity: undefined, clientAddress: "", requestId: "" };
    const socket = new Socket(`s${this.#ids++}`, client, this.hub, 1);
    const wire = new Wire(socket, this.hub, this.#ends);
    socket.open(wire);
    this.hub.open.add(socket);
    this.wires.push(wire);
    return wire;
  }

  /** All rooms begin anew; this node hears of it with what is said next. */
  restart(): void {
    for (const { epoch, seq } of this.hub.rooms()) this.#ends.set(epoch, seq);
    this.broker.restart();
  }

  /** The end of a turn of the event loop: what rooms have said leaves for the sockets. */
  turn(): void {
    for (const wire of this.wires) wire.flush();
  }

  #publish(topic: string, text: string): void {
    for (const wire of this.wires) if (wire.topics.has(topic)) wire.pending.push(text);
  }
}

/** What uWebSockets.js makes of a WebSocket, and the client at its other end. */
export class Wire {
  readonly topics = new Set<string>();
  /** Of rooms, until the end of the turn. */
  readonly pending: string[] = [];
  /** Its own buffer. */
  readonly queue: string[] = [];
  readonly seen: Reader;
  stalled = false;
  over = false;
  code: number | undefined;
  #bytes = 0;

  constructor(
    readonly socket: Socket,
    readonly hub: LocalHub,
    ends: ReadonlyMap<string, number>,
  ) {
    this.seen = new Reader(socket.id, ends);
  }

  getBufferedAmount(): number {
    assert.ok(!this.over, "used after its end");
    return this.#bytes;
  }

  send(text: string): void {
    assert.ok(!this.over, "used after its end");
    this.flush();
    this.#write(text);
  }

  subscribe(topic: string): void {
    assert.ok(!this.over, "used after its end");
    this.topics.add(topic);
  }

  unsubscribe(topic: string): boolean {
    assert.ok(!this.over, "used after its end");
    this.flush();
    return this.topics.delete(topic);
  }

  cork(write: () => void): void {
    write();
  }

  end(code: number): void {
    assert.ok(!this.over, "used after its end");
    assert.equal(this.#bytes, 0, "the close frame waits behind what was sent");
    this.flush();
    this.code = code;
    this.close();
  }

  close(): void {
    this.over = true;
    this.topics.clear();
    this.pending.length = 0;
    this.socket.close();
    this.hub.open.remove(this.socket);
  }

  flush(): void {
    for (const text of this.pending.splice(0)) this.#write(text);
  }

  /** The client reads so many frames. */
  read(frames: number): void {
    if (this.over) return;
    this.flush();
    const before = this.#bytes;
    for (const text of this.queue.splice(0, frames)) {
      this.#bytes -= Buffer.byteLength(text);
      this.seen.take(text);
    }
    if (before === 0 || this.#bytes < before) this.hub.drained(this.socket);
  }

  #write(text: string): void {
    if (!this.stalled && this.queue.length === 0) {
      this.seen.take(text);
      return;
    }
    this.queue.push(text);
    this.#bytes += Buffer.byteLength(text);
  }
}

interface Frame {
  readonly type: string;
  readonly room_id: string;
  readonly seq: number;
  readonly epoch: string;
  readonly recovered?: boolean;
  readonly from: number;
  readonly to: number;
  readonly since?: RoomPosition;
}

/** Where a client believes that it is in each of its rooms; it refuses whatever does not follow on that. */
export class Reader {
  readonly places = new Map<string, RoomPosition>();
  readonly texts: string[] = [];
  /** What it has asked to be sent from on, by room, in the order of its joins. */
  readonly asked = new Map<string, (RoomPosition | undefined)[]>();

  /** @param ends where epochs ended */
  constructor(
    readonly id: string,
    readonly ends: ReadonlyMap<string, number>,
  ) {}

  take(text: string): void {
    this.texts.push(text);
    const frame = JSON.parse(text) as Frame;
    const { room_id: room, seq, epoch } = frame;
    const place = this.places.get(room);
    const what = `${this.id}: ${text} after ${JSON.stringify(place)}`;
    switch (frame.type) {
      case "ack": {
        const since = this.asked.get(room)?.shift();
        if (since === undefined) {
          if (place !== undefined && place.epoch === epoch) assert.equal(seq, place.seq, what);
          this.places.set(room, { epoch, seq });
        } else this.places.set(room, since.epoch === epoch && since.seq <= seq ? since : { epoch, seq });
        return;
      }
      case "answer":
        return;
      case "left":
        this.places.delete(room);
        return;
      case "receive-message":
        assert.ok(place !== undefined, what);
        this.#follows(place, epoch, seq, what);
        this.places.set(room, { epoch, seq });
        return;
      case "gap":
        assert.ok(place !== undefined, what);
        this.#follows(place, epoch, frame.from, what);
        assert.ok(frame.from <= frame.to, what);
        this.places.set(room, { epoch, seq: frame.to });
        return;
      default:
        assert.ok(place !== undefined, what);
    }
  }

  #follows(place: RoomPosition, epoch: string, seq: number, what: string): void {
    if (place.epoch === epoch) assert.equal(seq, place.seq + 1, what);
    else {
      // Whoever was not behind when the room began anew has had all that this node has had.
      assert.equal(place.seq, this.ends.get(place.epoch), what);
      assert.equal(seq, 1, what);
    }
  }
}

/** One history for one node, which the test lets lose messages and begin anew. */
export class ModelBroker implements Broker {
  readonly presence = undefined;
  readonly leases = new MemoryLeases(
    1000,
    () => undefined,
    () => undefined,
  );
  readonly ready = true;
  readonly questions: (() => void)[] = [];
  readonly held = new Set<string>();
  log: History;
  #receiver: Receiver | undefined;

  constructor(
    readonly messages: number,
    readonly asynchronous: boolean,
  ) {
    this.log = this.#empty();
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  publish(room: string, { frame, kept, except, at }: RoomDraft): Published | undefined {
    if (!kept) {
      if (this.held.has(room)) this.#receiver?.notice(room, { text: frame, except, at });
      return undefined;
    }
    const message = this.keep(room, frame);
    if (this.held.has(room)) this.#receiver?.message(room, message);
    return { epoch: message.epoch, seq: message.seq, duplicate: false };
  }

  /** Keeps a message of which this node is not told. */
  keep(room: string, frame: string) {
    const timeline = this.log.open(room);
    const seq = ++timeline.seq;
    const { epoch } = timeline;
    const text = stamped(frame, epoch, seq);
    this.log.add(timeline, text, 0, undefined);
    return { epoch, seq, text, at: 0 };
  }

  /** All rooms begin anew. */
  restart(): void {
    this.log = this.#empty();
    for (const room of this.held) this.log.hold(room, true);
  }

  subscribe(room: string): RoomPosition {
    this.held.add(room);
    const { epoch, seq } = this.log.hold(room, true);
    return { epoch, seq };
  }

  unsubscribe(room: string): void {
    this.held.delete(room);
    this.log.hold(room, false);
  }

  since(room: string, { epoch, seq }: RoomPosition, limit: number, first?: number): Replay | Promise<Replay> {
    const read = () => this.log.since(room, epoch, seq, limit, first);
    if (!this.asynchronous) return read();
    return new Promise(resolve => this.questions.push(() => resolve(read())));
  }

  history = () => [];
  rooms = () => [];
  signal(): void {}
  close = async () => {};

  #empty(): History {
    return new History({ messages: this.messages, ttl: 1e9, maxBytes: 1e9 });
  }
}
