import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import type { HistoryLimits, Receiver } from "../../../src/realtime/brokers/broker.js";
import { WorkerBroker } from "../../../src/realtime/brokers/worker-broker.js";
import { WorkerRooms } from "../../../src/realtime/brokers/worker-rooms.js";
import { ProcessChannel } from "../../../src/workers/channel.js";
import type { WorkerProcess } from "../../../src/workers/pool.js";
import { describeBroker, draft } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";

/** One end of a connection within the process. */
class End extends Duplex {
  other: End | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    setImmediate(() => {
      this.other?.push(chunk);
      done();
    });
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }
}

const failed = (error: unknown): void => {
  throw error;
};

/** A primary whose workers are in this process. */
class Primary {
  readonly serving: WorkerProcess[] = [];
  readonly #forked: ((worker: WorkerProcess) => void)[] = [];
  readonly #left: ((worker: WorkerProcess) => void)[] = [];
  readonly rooms: WorkerRooms;

  constructor(history: HistoryLimits) {
    this.rooms = new WorkerRooms(this, history);
  }

  onForked(handle: (worker: WorkerProcess) => void): void {
    this.#forked.push(handle);
  }

  onLeft(handle: (worker: WorkerProcess) => void): void {
    this.#left.push(handle);
  }

  fork(history: HistoryLimits): { readonly broker: WorkerBroker; kill(): void } {
    const [near, far] = [new End(), new End()];
    near.other = far;
    far.other = near;
    const channel = new ProcessChannel(near as unknown as Socket, failed);
    const id = this.serving.length + 1;
    const worker = { id, pid: id, replaces: false, channel };
    for (const handle of this.#forked) handle(worker);
    this.serving.push(worker);
    void channel.closed.then(() => {
      this.serving.splice(this.serving.indexOf(worker), 1);
      for (const handle of this.#left) handle(worker);
    });
    const broker = new WorkerBroker(new ProcessChannel(far as unknown as Socket, failed), history);
    return {
      broker,
      kill: () => {
        near.destroy();
        far.destroy();
      },
    };
  }
}

const primaries = new Map<string, Primary>();

describeBroker({
  name: "workers",
  skip: false,
  outages: false,
  start: async () => ({
    port: 0,
    kill: async () => undefined,
    start: async () => undefined,
    empty: () => undefined,
    backUp: () => undefined,
    restore: () => undefined,
    suspend: () => undefined,
    resume: () => undefined,
    close: async () => {
      for (const { rooms } of primaries.values()) await rooms.close();
    },
  }),
  create: (_port, prefix, history) => {
    const primary = primaries.get(prefix) ?? new Primary(history);
    primaries.set(prefix, primary);
    return primary.fork(history).broker;
  },
  receivers: async (_port, prefix, room) => primaries.get(prefix)?.rooms.receivers(room) ?? 0,
});

const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };

test("the members of a worker that ends leave once, and one of the others learns of their rooms", async () => {
  const primary = new Primary(history);
  const [a, b] = [primary.fork(history), primary.fork(history)];
  const [one, two] = [createRecorder(), createRecorder()];
  for (const [{ broker }, recorder] of [
    [a, one],
    [b, two],
  ] as const) {
    broker.start(recorder satisfies Receiver);
    await broker.subscribe("general");
  }
  a.broker.presence.enter("general", { session: "a1", from: "jdoe" });
  b.broker.presence.open("b1", "hsue");
  b.broker.presence.enter("general", { session: "b1", from: "Hsue" });
  b.broker.presence.enter("general", { session: "b2", from: "jdoe" });
  await one.until(() => one.members("general").length === 2);
  assert.equal((await a.broker.presence.members("general")).length, 3);
  const first = await b.broker.publish("general", draft("before"));
  b.kill();
  await one.until(all => all.some(({ kind }) => kind === "lost"));
  assert.deepEqual(one.members("general"), ["+jdoe", "+Hsue", "-Hsue"]);
  assert.deepEqual(await a.broker.presence.members("general"), [{ session: "a1", from: "jdoe" }]);
  const lost = one.all.flatMap(entry => (entry.kind === "lost" ? [...entry.sessions] : []));
  assert.deepEqual(lost.map(([session, { subject, rooms }]) => [session, subject, [...rooms]]).sort(), [
    ["b1", "hsue", [["general", "Hsue"]]],
    ["b2", "jdoe", [["general", "jdoe"]]],
  ]);
  await assert.rejects(() => b.broker.publish("general", draft("lost")), { name: "GatewayError" });
  const next = await a.broker.publish("general", draft("after"));
  assert.deepEqual(next, { epoch: first?.epoch, seq: 2, duplicate: false });
  await a.broker.close();
  await b.broker.close();
  await primary.rooms.close();
});
