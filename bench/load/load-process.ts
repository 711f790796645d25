/** The load generator: each connection has one request under way at a time at most. Takes orders over IPC. */
import { ClosedLoop } from "./closed-loop.js";
import { Connection } from "./connection.js";
import type { LoopPlan } from "./loop.js";
import { OpenLoop } from "./open-loop.js";
import {
  type LoadBounds,
  type LoadOrder,
  type LoadReply,
  type LoadResult,
  mostRequests,
} from "./protocol.js";

const latencies = new Float32Array(mostRequests);
const buffer = Buffer.allocUnsafeSlow(256 * 1024);
let connections: Connection[] = [];
let fail: (error: Error) => void = () => undefined;
let answered: (connection: Connection) => void = () => undefined;

function open(
  { ports, encrypted }: { readonly ports: readonly number[]; readonly encrypted: boolean },
  count: number,
  requests: readonly Buffer[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    fail = reject;
    let missing = count;
    const listener = {
      connected: () => {
        missing -= 1;
        if (missing === 0) resolve();
      },
      answered: (connection: Connection, status: number) => {
        if (status === 200) answered(connection);
        else fail(new Error(`expected status 200, found ${status}`));
      },
      broken: (error: Error) => fail(error),
    };
    let turn = 0;
    const next = (): Buffer => requests[turn++ % requests.length] as Buffer;
    connections = Array.from({ length: count }, (_, index) => {
      const port = ports[index % ports.length] as number;
      return new Connection({ port, encrypted }, next, buffer, listener);
    });
  });
}

function run({ milliseconds, requests, rate }: LoadBounds): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    fail = reject;
    const cpu = process.cpuUsage();
    const started = performance.now();
    let done = 0;
    const plan: LoopPlan = {
      connections,
      milliseconds,
      requests: Math.min(requests, mostRequests),
      took: latency => {
        latencies[done] = latency;
        done += 1;
      },
      finished: () => {
        const seconds = (performance.now() - started) / 1000;
        const { user, system } = process.cpuUsage(cpu);
        const sorted = latencies.subarray(0, done).sort();
        const at = (share: number): number => (sorted[Math.floor((done - 1) * share)] ?? 0) * 1000;
        resolve({
          requests: done,
          seconds,
          p50: at(0.5),
          p99: at(0.99),
          cpuSeconds: (user + system) / 1e6,
        });
      },
    };
    const loop = rate === undefined ? new ClosedLoop(plan) : new OpenLoop(plan, rate, fail);
    answered = connection => loop.answered(connection);
    loop.start();
  });
}

function close(): void {
  fail = () => undefined;
  for (const connection of connections) connection.close();
  connections = [];
}

async function obey(order: LoadOrder): Promise<LoadReply> {
  switch (order.kind) {
    case "open":
      await open(
        order,
        order.connections,
        order.requests.map(request => Buffer.from(request, "latin1")),
      );
      return { kind: "done" };
    case "run":
      return { kind: "result", ...(await run(order)) };
    case "close":
      close();
      return { kind: "done" };
  }
}

process.on("message", (order: LoadOrder) => {
  obey(order)
    .catch((error: Error): LoadReply => ({ kind: "failed", message: error.message }))
    .then(reply => process.send?.(reply));
});
process.on("disconnect", () => process.exit());
