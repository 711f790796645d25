/**
 * CPU time of a unary call on each transport: `node --import tsx test/upstream/h2/cost.ts`.
 * A server process responds; client processes take turns, one for each transport, so that what else the machine does
 * meets both. Prints microseconds of user and system time per call, of the client alone.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { TransportKind } from "../../../src/upstream/options.js";
import { scriptFile } from "../../node-script.js";

const transports: readonly TransportKind[] = ["lean", "grpc-js"];
const concurrencies = [1, 10, 100];
const rounds = 7;

interface Reported {
  readonly port?: number;
  readonly micros?: number;
}

async function spawn(role: string, ...args: string[]): Promise<ChildProcess> {
  const child = fork(scriptFile("test/upstream/h2/cost-process.ts"), [role, ...args]);
  child.on("exit", code => {
    if (code !== 0 && code !== null) process.exitCode = 1;
  });
  return child;
}

async function report(child: ChildProcess): Promise<Reported> {
  const [message] = await once(child, "message");
  return message as Reported;
}

const server = await spawn("server");
const { port } = await report(server);
const clients = new Map<TransportKind, ChildProcess>();
for (const transport of transports) {
  const child = await spawn("client", transport, String(port));
  await report(child);
  clients.set(transport, child);
}

for (const concurrency of concurrencies) {
  const results = new Map<TransportKind, number[]>(transports.map(transport => [transport, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [transport, child] of clients) {
      child.send({ concurrency, calls: transport === "lean" ? 20_000 : 4_000 });
      const { micros = Number.NaN } = await report(child);
      results.get(transport)?.push(micros);
    }
  }
  const [lean = 0, grpcJs = 0] = transports.map(transport => median(results.get(transport) ?? []));
  const ratio = (grpcJs / lean).toFixed(1);
  console.log(
    `${concurrency} in flight: lean ${lean.toFixed(1)} µs, grpc-js ${grpcJs.toFixed(1)} µs a call, ${ratio}×`,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

for (const child of clients.values()) child.kill();
server.kill();
