import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import type { TransportKind } from "../../src/upstream/options.js";
import { type Answer, send, startTestGateway } from "../gateway/harness.js";
import { type Peer, peerProtos } from "./go-peer.js";

export interface RotationCounts {
  /** Unary calls and streams that did not end well, by how. */
  readonly failures: ReadonlyMap<string, number>;
  readonly failed: number;
  /** Ids that the backend has processed, and those of them that it has processed more than once. */
  readonly processed: number;
  readonly repeated: number;
  /** Samples of `protogate_upstream_transparent_retries_total`. */
  readonly resent: readonly string[];
}

export interface RotationRun {
  readonly transport: TransportKind;
  /** Over REST, GET and POST in turn. */
  readonly calls: number;
  /** Server streams over sockets; and so many client streams and streams both ways over REST. */
  readonly streams: number;
}

const callers = 24;
const sockets = 4;
const streamsPerSocket = 6;
/** Events of one stream. */
const follows = 3;
/** Requests of one stream. */
const uploads = 3;

/** Makes calls of `peer.v1.RotationService` through a gateway to a backend whose connections come and go; closes the backend. */
export async function runRotation(
  peer: Peer,
  { transport, calls, streams }: RotationRun,
): Promise<RotationCounts> {
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ${JSON.stringify(peerProtos)} }]
upstreams: { peer: { targets: ["127.0.0.1:${peer.port}"], timeout: 60s, transport: ${transport} } }
services:
  - service: peer.v1.RotationService
    upstream: peer
    methods: { Follow: { timeout: 60s }, Collect: { timeout: 60s }, Converse: { timeout: 60s } }
telemetry: { log: { level: error } }
realtime: { auth: none, calls: [peer.v1.RotationService/Follow], limits: { messages_per_second: 1000000 } }
`,
    {},
  );
  const failures = new Map<string, number>();
  const fail = (how: string): void => void failures.set(how, (failures.get(how) ?? 0) + 1);
  const visit = async (index: number): Promise<void> => {
    const id = `call-${index}`;
    const response = await (index % 2 === 0
      ? send(`${gateway.url}/v1/visits/${id}`)
      : send(`${gateway.url}/v1/visits`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ id }),
        }));
    if (response.status !== 200 || response.json.id !== id)
      fail(`${response.status} ${response.json.reason}: ${response.json.message}`);
  };
  const url = `ws://127.0.0.1:${gateway.realtimePort}/ws`;
  const clients =
    streams === 0 ? [] : await Promise.all(Array.from({ length: sockets }, () => Follower.open(url)));
  await Promise.all([
    together(calls, callers, visit),
    together(streams, sockets * streamsPerSocket, async index => {
      const problem = await clients[index % sockets]!.follow(`stream-${index}`);
      if (problem !== undefined) fail(problem);
    }),
  ]);
  await together(2 * streams, sockets * streamsPerSocket, async index => {
    const call = index % 2 === 0 ? collect : converse;
    const problem = await call(gateway.url, `upload-${index}`).catch(error => `${call.name}: ${error}`);
    if (problem !== undefined) fail(problem);
  });
  for (const client of clients) client.close();
  const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
  await gateway.close();
  const { processed, repeated } = await peer.close();
  return {
    failures,
    failed: [...failures.values()].reduce((sum, count) => sum + count, 0),
    processed,
    repeated,
    resent: metrics
      .split("\n")
      .filter(line => line.startsWith("protogate_upstream_transparent_retries_total")),
  };
}

/** Runs work 0 to `count` - 1, so many at a time. */
async function together(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}

/** Resolves with what was wrong with the response, or undefined. */
async function collect(url: string, id: string): Promise<string | undefined> {
  const { status, json } = await upload(`${url}/v1/collections`, id);
  return status === 200 && json.id === id
    ? undefined
    : `client stream: ${status} ${json?.reason}: ${json?.message}`;
}

async function converse(url: string, id: string): Promise<string | undefined> {
  const { status, json } = await upload(`${url}/v1/conversations`, id);
  const ids = Array.isArray(json) ? json.map(each => each.id) : [];
  return status === 200 && ids.join() === Array(uploads).fill(id).join()
    ? undefined
    : `stream both ways: ${status} ${JSON.stringify(json)}`;
}

/** Sends requests one by one, so that a connection may end between them. */
function upload(url: string, id: string): Promise<Answer> {
  async function* lines(): AsyncGenerator<Buffer> {
    for (let index = 0; index < uploads; index++) {
      yield Buffer.from(`${JSON.stringify({ id })}\n`);
      await sleep(1);
    }
  }
  return send(url, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: ReadableStream.from(lines()),
    duplex: "half",
  });
}

/** A socket that calls `Follow`. */
class Follower {
  readonly #socket: WebSocket;
  readonly #frames = new Map<string, (frame: { type: string; reason?: string; message?: string }) => void>();

  static async open(url: string): Promise<Follower> {
    const socket = new WebSocket(url);
    await once(socket, "open");
    return new Follower(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", bytes => {
      const frame = JSON.parse(String(bytes));
      this.#frames.get(frame.id)?.(frame);
    });
  }

  /** Resolves with what was wrong, or undefined. */
  follow(id: string): Promise<string | undefined> {
    return new Promise(resolve => {
      let events = 0;
      this.#frames.set(id, ({ type, reason, message }) => {
        if (type === "event") {
          events++;
          return;
        }
        this.#frames.delete(id);
        if (type !== "end") resolve(`stream: ${reason}: ${message}`);
        else resolve(events === follows ? undefined : `stream: ${events} events`);
      });
      this.#socket.send(
        JSON.stringify({ type: "call", id, method: "peer.v1.RotationService/Follow", body: { id } }),
      );
    });
  }

  close(): void {
    this.#socket.close();
  }
}
