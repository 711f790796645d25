import type { EngineName } from "../engine.js";
import { testedEngines } from "./engines.js";
import { type Direction, type FloodWay, flood, startFlood } from "./flood.js";
import { startGatewayProcess } from "./gateway-process.js";

const mebibyte = 1 << 20;
const ways: readonly FloodWay[] = ["NDJSON", "HttpBody", "WebSocket", "Connect", "gRPC-Web", "gRPC"];
const directions: readonly Direction[] = ["down", "up"];

export interface MemoryRun {
  readonly bytes: number;
  /** Bytes of a run before, which does not count. */
  readonly warmUp: number;
  /** Milliseconds for which a slow reader does nothing at first. */
  readonly stallMs: number;
}

export interface MemoryResult {
  readonly name: string;
  /** Bytes by which the gateway's memory has grown meanwhile, at most. */
  readonly growth: number;
  /** Bytes that arrived, framing included. */
  readonly arrived: number;
  /** The engine may end the stream before all of it has arrived, as docs/reference/engines.md says. */
  readonly mayEnd: boolean;
}

/** Streams through a gateway, in every way and direction, to a client or a backend that reads slowly. */
export async function* runMemory(
  engine: EngineName,
  { bytes, warmUp, stallMs }: MemoryRun,
): AsyncGenerator<MemoryResult> {
  const backend = await startFlood();
  const gateway = await startGatewayProcess(engine, backend.port);
  try {
    for (const way of ways) {
      // uws speaks HTTP/1.1 alone.
      if (way === "gRPC" && engine === "uws") continue;
      for (const direction of directions) {
        const run = (size: number, stall: number): Promise<number> =>
          flood(backend, gateway.port, way, direction, size, stall);
        // What code and heap take once is no growth.
        if (warmUp > 0) await run(warmUp, 0).catch(() => 0);
        await gateway.mark();
        let name = `${engine}, ${way}, ${direction}`;
        const arrived = await run(bytes, stallMs).catch(error => {
          name += ` (${error})`;
          return 0;
        });
        const mayEnd = engine === "uws" && direction === "up";
        yield { name, growth: await gateway.growth(), arrived, mayEnd };
      }
    }
  } finally {
    await gateway.close();
    backend.close();
  }
}

/** Whether memory stays bounded while 1 GiB passes a slow reader. */
export async function soakMemory(print: (line: string) => void): Promise<boolean> {
  const bytes = 1024 * mebibyte;
  const warmUp = 32 * mebibyte;
  const most = 64 * mebibyte;
  let passed = true;
  for await (const engine of testedEngines(print)) {
    for await (const { name, growth, arrived, mayEnd } of runMemory(engine, {
      bytes,
      warmUp,
      stallMs: 1000,
    })) {
      print(
        `${name}: ${(arrived / mebibyte).toFixed(0)} MiB arrived, memory grew by ${(growth / mebibyte).toFixed(1)} MiB`,
      );
      if (growth > most || (arrived < bytes && !mayEnd)) passed = false;
    }
  }
  return passed;
}
