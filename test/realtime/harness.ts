import { once } from "node:events";
import { connect, type Socket as NetSocket } from "node:net";
import type { TestContext } from "node:test";
import { Registry } from "prom-client";
import { type ClientOptions, WebSocket } from "ws";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import { type RealtimeListenerOptions, startRealtimeListener } from "../../src/gateway/realtime-listener.js";
import type { Broker } from "../../src/realtime/brokers/broker.js";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { RealtimeMetrics } from "../../src/realtime/metrics.js";
import { Realtime, type RealtimeLimits, type RealtimeSettings } from "../../src/realtime/realtime.js";
import { socketEngineUnderTest } from "../engine.js";

export type Json = Record<string, unknown>;

const limits: RealtimeLimits = {
  message: 65_536,
  roomsPerConnection: 128,
  messagesPerSecond: 1_000_000,
  burst: 1_000_000,
  connections: 10_000,
};

export interface TestOptions {
  readonly settings?: Partial<Omit<RealtimeSettings, "limits">>;
  readonly limits?: Partial<RealtimeLimits>;
  readonly server?: Partial<RealtimeListenerOptions>;
  readonly sockets?: Partial<RealtimeListenerOptions["sockets"]>;
  readonly broker?: Broker;
  readonly history?: { readonly messages?: number; readonly ttl?: number; readonly maxBytes?: number };
}

export interface TestServer {
  readonly realtime: Realtime;
  /** Stops accepting; open sockets stay. */
  stop(): void;
  readonly registry: Registry;
  readonly port: number;
  readonly url: string;
  open(options?: ClientOptions & { readonly protocols?: string[]; readonly path?: string }): Promise<Client>;
  /** Resolves when no socket, room or membership is left. */
  empty(): Promise<void>;
  /** The value of a sample, by its name and labels as they are printed; 0 where it is not. */
  metric(sample: string): Promise<number>;
}

/** A realtime server on a free port, ended with the test. */
export async function serve(t: TestContext, options: TestOptions = {}): Promise<TestServer> {
  const registry = new Registry();
  const realtime = new Realtime({
    broker:
      options.broker ??
      new MemoryBroker({ messages: 100, ttl: 3_600_000, maxBytes: 64 * 1024 ** 2, ...options.history }),
    metrics: new RealtimeMetrics(registry),
    logger: undefined,
    settings: {
      origins: new RequestOrigins([], 0),
      authenticator: undefined,
      limiters: [],
      roomPolicy: undefined,
      bridge: undefined,
      sentAt: "seconds",
      backpressure: { max: 1024 * 1024, policy: "close" },
      ...options.settings,
      limits: { ...limits, ...options.limits },
    },
  });
  await realtime.start();
  const engine = await startRealtimeListener(realtime, {
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    headerLimit: 16_384,
    requestTimeout: 30_000,
    handle: (_request, response) => response.send(404, [], ""),
    refused: () => {},
    engine: socketEngineUnderTest(),
    ...options.server,
    sockets: {
      path: "/ws",
      messageLimit: 65_536,
      idleTimeout: 60_000,
      deflate: false,
      trustedHops: 0,
      ...options.sockets,
    },
  });
  let ended = (): void => {};
  const stop = (): void => void engine.close(new Promise(resolve => (ended = resolve)));
  const clients: Client[] = [];
  t.after(async () => {
    for (const client of clients) client.socket.terminate();
    stop();
    await realtime.close(0);
    ended();
    engine.destroy();
  });
  const { port } = engine;
  const scheme = options.server?.tls === undefined ? "ws" : "wss";
  const url = `${scheme}://127.0.0.1:${port}`;
  const hub = realtime.local;
  return {
    realtime,
    stop,
    registry,
    port,
    url,
    async open({ protocols = [], path = "/ws", ...rest } = {}) {
      const client = new Client(new WebSocket(`${url}${path}`, protocols, rest));
      clients.push(client);
      await client.opened;
      return client;
    },
    empty: () => until(() => hub.open.size === 0 && hub.openRooms === 0 && hub.memberships === 0),
    async metric(sample) {
      const line = (await registry.metrics()).split("\n").find(each => each.startsWith(`${sample} `));
      return line === undefined ? 0 : Number(line.slice(sample.length + 1));
    },
  };
}

/** Turns of the event loop until it is so; the test's own timeout is the end of patience. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
}

/** A client that keeps what it was sent until it is asked for. */
export class Client {
  /** Frames in order of arrival that nobody has taken. */
  readonly frames: Json[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly opened: Promise<unknown>;
  #wake: (() => void) | undefined;
  #over = false;

  constructor(readonly socket: WebSocket) {
    this.opened = once(socket, "open");
    this.closed = new Promise(resolve =>
      socket.once("close", (code, reason) => {
        this.#over = true;
        this.#wake?.();
        resolve({ code, reason: String(reason) });
      }),
    );
    socket.on("error", () => {});
    socket.on("message", data => {
      this.frames.push(JSON.parse(String(data)));
      this.#wake?.();
    });
  }

  say(frame: Json): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** The next frame, or the next of that type; what came before it is dropped. */
  async next(type?: string): Promise<Json> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame !== undefined) {
        if (type === undefined || frame.type === type) return frame;
      } else if (this.#over) throw new Error(`the socket closed before ${type ?? "a frame"} came`);
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
    }
  }

  /** What the frame's id is answered with; everything else stays. */
  async ask(frame: Json): Promise<Json> {
    this.say(frame);
    for (;;) {
      const index = this.frames.findIndex(each => each.id === frame.id && each.id !== undefined);
      if (index >= 0) return this.frames.splice(index, 1)[0] as Json;
      if (this.#over) throw new Error("the socket closed before an answer came");
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  /** Joins, and resolves when it is so. */
  join(room: string, from: string, more: Json = {}): Promise<Json> {
    return this.ask({ type: "join-room", room_id: room, from, id: `join ${++asked}`, ...more });
  }

  /** Resolves when everything sent before has been dealt with. */
  async settled(): Promise<void> {
    await this.ask({ type: "presence", room_id: "nowhere", id: `settled ${++asked}` });
  }
}

let asked = 0;

/** A socket after its handshake, for frames that no library would send. */
export async function rawSocket(port: number): Promise<NetSocket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    `GET /ws HTTP/1.1\r\nhost: localhost:${port}\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
      "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  const [head] = (await once(socket, "data")) as [Buffer];
  if (!head.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error(head.toString("latin1"));
  return socket;
}

/** A frame of a client, masked with zeros (RFC 6455 section 5.2). */
export function frameOf(first: number, payload: Buffer, masked = true): Buffer {
  const mask = masked ? 0x80 : 0;
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.from([first, mask | length])
      : Buffer.from([first, mask | 126, length >> 8, length & 0xff]);
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

/** The close code that a raw socket is told, 1006 where it just ends. */
export async function closeCodeOf(socket: NetSocket): Promise<number> {
  const chunks: Buffer[] = [];
  socket.on("data", chunk => chunks.push(chunk));
  socket.resume();
  await once(socket, "close");
  const bytes = Buffer.concat(chunks);
  for (let at = 0; at + 1 < bytes.length; ) {
    const opcode = (bytes[at] ?? 0) & 0x0f;
    let length = (bytes[at + 1] ?? 0) & 0x7f;
    let head = 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at + 2);
      head = 4;
    }
    if (opcode === 8) return length >= 2 ? bytes.readUInt16BE(at + head) : 1005;
    at += head + length;
  }
  return 1006;
}
