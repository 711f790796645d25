import { buildPeer, type Peer, startPeer, whyNoGo } from "../peers/go-peer.js";
import { startGoAwayServer } from "../peers/goaway-server.js";
import { runRotation } from "../peers/rotation.js";

const calls = 20_000;
const streams = 2_000;

/** Whether calls are lost while the backend's connections come and go. Returns false where any is, on the own transport. */
export async function soakRotation(print: (line: string) => void): Promise<boolean> {
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
      const counts = await runRotation(await start(), { transport, calls, streams });
      const { failed, failures, processed, repeated, resent } = counts;
      print(
        `${transport}, ${name}: ${calls} calls and ${streams} streams of each kind, ${failed} failed, ${processed} processed, ${repeated} more than once`,
      );
      for (const [how, count] of failures) print(`  ${count} × ${how}`);
      for (const line of resent) print(`  ${line}`);
      if (transport === "lean" && (failed > 0 || repeated > 0)) passed = false;
    }
  }
  return passed;
}
