import { parseArgs } from "node:util";
import { buildPeer, type Peer, startPeer, whyNoGo } from "../peers/go-peer.js";
import { startGoAwayServer } from "../peers/goaway-server.js";
import { runRotation } from "../peers/rotation.js";

/** Whether calls are lost while the backend's connections come and go. Returns false where any is, on the own transport. */
export async function soakRotation(print: (line: string) => void): Promise<boolean> {
  const { calls, streams } = counts();
  const missing = await whyNoGo();
  if (missing !== undefined) print(`grpc-go is left out: ${missing}`);
  const servers: [name: string, start: () => Promise<Peer>][] = [
    ["a server that sends GOAWAY every 20 ms", () => startGoAwayServer(20)],
  ];
  if (missing === undefined) {
    const program = await buildPeer();
    servers.unshift(["grpc-go, MaxConnectionAge 50 ms", () => startPeer(program, "none", "50ms")]);
  }
  let passed = true;
  for (const transport of ["lean", "grpc-js"] as const) {
    for (const [name, start] of servers) {
      const began = performance.now();
      const { failed, failures, processed, repeated, resent } = await runRotation(await start(), {
        transport,
        calls,
        streams,
      });
      const seconds = Math.round((performance.now() - began) / 1000);
      print(
        `${transport}, ${name}: ${calls} calls and ${streams} streams of each kind in ${seconds} s, ${failed} failed, ${processed} processed, ${repeated} more than once`,
      );
      for (const [how, count] of failures) print(`  ${count} × ${how}`);
      for (const line of resent) print(`  ${line}`);
      if (repeated > 0 || (transport === "lean" && failed > 0)) passed = false;
    }
  }
  return passed;
}

function counts(): { calls: number; streams: number } {
  const { values } = parseArgs({
    options: {
      calls: { type: "string", default: "20000" },
      streams: { type: "string", default: "2000" },
    },
    strict: false,
  });
  return { calls: count("calls", values.calls), streams: count("streams", values.streams) };
}

function count(name: string, value: unknown): number {
  const parsed = Number(value);
  if (Number.isSafeInteger(parsed) && parsed >= 0) return parsed;
  throw new Error(`--${name} ${value}: expected a count such as 2000`);
}
