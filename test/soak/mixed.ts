import { readdirSync } from "node:fs";
import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Client, credentials } from "@grpc/grpc-js";
import type { EngineName } from "../engine.js";
import { EchoBackend } from "../faults/system.js";
import { freePort, freePorts, untilAccepts } from "../ports.js";
import { get, type Served, serve } from "../workers/served.js";
import { restWays, rpcWays, type Target, type Way } from "./clients.js";
import { testedEngines } from "./engines.js";
import { type Growth, growthOf, type Sample } from "./growth.js";
import { keepRoom } from "./room.js";

const proto = `
syntax = "proto3";
package test.v1;
import "google/api/annotations.proto";

service Echo {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{id}" }; }
  rpc Create(Item) returns (Item) { option (google.api.http) = { post: "/v1/items" body: "*" }; }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Find(Item) returns (stream Item) { option (google.api.http) = { post: "/v1/find" body: "*" }; }
  rpc Send(stream Item) returns (Item) { option (google.api.http) = { post: "/v1/items:send" body: "*" }; }
  rpc Talk(stream Item) returns (stream Item) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
}
message Item { string id = 1; string text = 3; }
`;

/** With `--expose-gc`: what is in use is known only after a collection. */
const collecting = 'data:text/javascript,process.on("SIGUSR2",()=>globalThis.gc())';

/** Milliseconds between reloads, between restarts of one of the backends, and for which a backend that is killed is missed. */
const reloadMs = 20_000;
const restartMs = 25_000;
const missedMs = 3_000;

/** What may be seen while a backend is killed, of those that it was answering. */
const missing = /UNAVAILABLE|unavailable|^503$|4503|grpc-status: ?14/;

/** A time in which a backend was killed, from the kill until it is back. */
interface Outage {
  readonly from: number;
  until: number;
}

/**
 * Whether the gateway, on each engine, holds for `--minutes` under requests and streams of all protocols, slow clients, and
 * rooms, while it is reloaded, and backends restart and are killed.
 */
export async function soakMixed(print: (line: string) => void): Promise<boolean> {
  const minutes = wantedMinutes();
  const port = await freePort();
  const backends = [await EchoBackend.start(port, "127.0.0.1"), await EchoBackend.start(port, "127.0.0.2")];
  const outages: Outage[] = [];
  const ends = performance.now() + minutes * 60_000;
  const over = (): boolean => performance.now() >= ends;
  try {
    const subjects: Subject[] = [];
    for await (const engine of testedEngines(print)) {
      subjects.push(await Subject.start(engine, port, outages));
    }
    const restarts = restart(backends, outages, over);
    const passed = await Promise.all(subjects.map(subject => subject.run(over, print)));
    await restarts;
    return passed.every(Boolean);
  } finally {
    for (const backend of backends) await backend.kill();
  }
}

function wantedMinutes(): number {
  const { minutes } = parseArgs({
    options: { minutes: { type: "string", default: "20" } },
    strict: false,
  }).values;
  const parsed = Number(minutes);
  if (parsed > 0 && parsed <= 10_000) return parsed;
  throw new Error(`--minutes ${minutes}: expected a number of minutes such as 20`);
}

/** One backend after the other, in turn as it should be and killed. */
async function restart(
  backends: readonly EchoBackend[],
  outages: Outage[],
  over: () => boolean,
): Promise<void> {
  for (let count = 0; ; count++) {
    await pausedUntil(over, restartMs);
    if (over()) return;
    const backend = backends[(count >> 1) % backends.length];
    if (count % 2 === 0) await backend?.kill("SIGTERM");
    else {
      const outage = { from: performance.now(), until: Number.POSITIVE_INFINITY };
      outages.push(outage);
      await backend?.kill();
      await pause(500);
      outage.until = performance.now() + missedMs;
    }
    await backend?.start();
  }
}

async function pausedUntil(over: () => boolean, milliseconds: number): Promise<void> {
  const ends = performance.now() + milliseconds;
  while (!over() && performance.now() < ends) await pause(500);
}

/** A gateway and all that its clients do. */
class Subject {
  readonly #engine: EngineName;
  readonly #served: Served;
  readonly #target: Target;
  readonly #roomUrl: string;
  readonly #admin: string;
  readonly #outages: readonly Outage[];
  #operations = 0;
  /** Those of this minute, and those of the whole run that should not have failed. */
  #failures = new Map<string, number>();
  #allowed = new Map<string, number>();
  #unexpected = 0;

  private constructor(
    engine: EngineName,
    served: Served,
    ports: { http: number; realtime: number; admin: number },
    outages: readonly Outage[],
  ) {
    this.#engine = engine;
    this.#served = served;
    this.#outages = outages;
    this.#admin = `http://127.0.0.1:${ports.admin}`;
    this.#roomUrl = `ws://127.0.0.1:${ports.realtime}/ws`;
    this.#target = {
      port: ports.http,
      agent: new Agent({ keepAlive: true }),
      grpc:
        engine === "fastify"
          ? new Client(`127.0.0.1:${ports.http}`, credentials.createInsecure())
          : undefined,
    };
  }

  static async start(engine: EngineName, port: number, outages: readonly Outage[]): Promise<Subject> {
    // The line with the ports is not written: nor is one for each request.
    const [http = 0, realtime = 0, admin = 0] = await freePorts(3);
    const yaml = `listeners:
  http: { address: "127.0.0.1:${http}", engine: ${engine} }
  realtime: { address: "127.0.0.1:${realtime}" }
  admin: { address: "127.0.0.1:${admin}" }
upstreams:
  echo:
    targets: ["127.0.0.1:${port}", "127.0.0.2:${port}"]
    timeout: 20s
    retry: { attempts: 3, on: [UNAVAILABLE], backoff: 10ms, budget: 1 }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime: { path: /ws, auth: none, origins: ["*"] }
telemetry: { log: { level: warn } }
`;
    const served = serve(yaml, proto, { nodeOptions: ["--expose-gc", "--import", collecting] });
    for (const each of [http, realtime, admin]) await untilAccepts(each, served.ended);
    return new Subject(engine, served, { http, realtime, admin }, outages);
  }

  async run(over: () => boolean, print: (line: string) => void): Promise<boolean> {
    const say = (line: string): void => print(`${this.#engine}: ${line}`);
    const before = await this.#sample();
    const ways = this.#target.grpc ? [...restWays, ...rpcWays] : [...restWays, ...rpcWays.filter(isNotGrpc)];
    const clients = Promise.all([
      ...ways.map(way => this.#repeat(way, over)),
      keepRoom(this.#roomUrl, over, what => this.#fail("room", what, performance.now())),
      this.#reload(over),
    ]);
    const samples: Sample[] = [];
    const known = new Map<string, number>();
    for (let minute = 1; !over(); minute++) {
      const from = this.#operations;
      await pausedUntil(over, 60_000);
      const sample = await this.#sample();
      samples.push(sample);
      say(
        `minute ${minute}, ${this.#operations - from} operations, ${describe(sample)}; failed: ${this.#news(known)}`,
      );
    }
    const { messages } = (await clients).find(each => each !== undefined) ?? { messages: 0 };
    this.#target.agent.destroy();
    this.#target.grpc?.close();
    // A connection that was closed is forgotten within the second.
    await pause(2000);
    const after = await this.#sample();
    const growth = growthOf(samples, before, after);
    for (const { text } of growth) say(text);
    say(`failed while a backend was killed, as they may: ${listed(this.#allowed)}`);
    say(`failed, and should not: ${listed(this.#failures)}`);
    this.#served.signal("SIGTERM");
    const code = await this.#served.ended;
    say(`${this.#operations} operations, ${messages} messages to the room; exit code ${code} at SIGTERM`);
    await this.#served.close();
    return this.#unexpected === 0 && code === 0 && growth.every(({ grew }: Growth) => !grew);
  }

  async #repeat(way: Way, over: () => boolean): Promise<void> {
    while (!over()) {
      const began = performance.now();
      await way.run(this.#target).catch((error: Error) => this.#fail(way.name, error.message, began));
      this.#operations++;
      await pause(way.pauseMs);
    }
  }

  async #reload(over: () => boolean): Promise<undefined> {
    for (;;) {
      await pausedUntil(over, reloadMs);
      if (over()) return;
      this.#served.signal("SIGHUP");
    }
  }

  /** @param began `performance.now()` */
  #fail(way: string, what: string, began: number): void {
    const now = performance.now();
    const out = this.#outages.some(({ from, until }) => began < until && now > from);
    const allowed = out && missing.test(what);
    const counts = allowed ? this.#allowed : this.#failures;
    if (!allowed) this.#unexpected++;
    const name = `${way}: ${what}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  /** What has failed since the last time. */
  #news(known: Map<string, number>): string {
    const counts = new Map([
      ...this.#failures,
      ...[...this.#allowed].map(([name, count]) => [`(${name})`, count] as const),
    ]);
    const news = new Map([...counts].map(([name, count]) => [name, count - (known.get(name) ?? 0)] as const));
    for (const [name, count] of counts) known.set(name, count);
    return listed(new Map([...news].filter(([, count]) => count > 0)));
  }

  async #sample(): Promise<Sample> {
    this.#served.signal("SIGUSR2");
    // The first one may still have come before the signal; it is the one that has the delays since the last sample.
    const [first, second] = [await get(`${this.#admin}/metrics`), await get(`${this.#admin}/metrics`)];
    const value = (name: string, { text } = second): number =>
      Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1]);
    return {
      operations: this.#operations,
      rss: value("process_resident_memory_bytes"),
      heap: value("nodejs_heap_size_used_bytes"),
      descriptors: readdirSync(`/proc/${this.#served.pid}/fd`).length,
      delayMs: value("nodejs_eventloop_lag_p99_seconds", first) * 1000,
    };
  }
}

function isNotGrpc({ name }: Way): boolean {
  return name !== "gRPC" && name !== "gRPC stream";
}

function describe({ rss, heap, descriptors, delayMs }: Sample): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `RSS ${mebibytes(rss)}, heap ${mebibytes(heap)}, ${descriptors} descriptors, event loop p99 ${delayMs.toFixed(0)} ms`;
}

function listed(counts: ReadonlyMap<string, number>): string {
  return counts.size === 0 ? "none" : [...counts].map(([name, count]) => `${name} ×${count}`).join(", ");
}
