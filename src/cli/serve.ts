import { startGateway } from "../gateway/gateway.js";
import type { Gateway } from "../gateway/gateway-options.js";
import { readConfig } from "../gateway/read-config.js";
import { withoutOptimizing } from "../net/late-optimization.js";
import { sizeYoungGeneration } from "../net/young-generation.js";
import { workerCount } from "../workers/config.js";
import { readArguments } from "./arguments.js";

/** Runs the gateway until SIGTERM or SIGINT. SIGHUP loads the configuration again. */
export async function serve(args: readonly string[]): Promise<number> {
  const { config } = readArguments(args, { options: ["config"] });
  return untilSignalled(async () => {
    const loaded = readConfig(config, process.env);
    const workers = workerCount(loaded.config.server.workers);
    if (workers === 1) return startGateway(config, { loaded });
    const { startPrimary } = await import("../gateway/workers/primary.js");
    return startPrimary(config, loaded, workers);
  });
}

/** Milliseconds in which signals count as one: `npm start` forwards a signal that Ctrl-C has sent to the process too. */
const oneSignal = 500;

/**
 * For so long idle connections of a gateway that is terminated stay: a proxy in front sends requests on them, and one
 * that meets the end of its connection on the way is lost, since it may not be sent twice.
 */
const terminationLingerMs = 1000;

/**
 * Starts something, then runs it until SIGTERM or SIGINT starts its drain. A second signal exits at once, with the
 * code that shells give to that signal.
 */
export async function untilSignalled(
  start: () => Promise<Pick<Gateway, "close" | "reload">>,
): Promise<number> {
  let signalledAt: number | undefined;
  let lingerMs = 0;
  const signalled = new Promise<void>(resolve => {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      process.on(signal, () => {
        if (signalledAt !== undefined && performance.now() - signalledAt > oneSignal) process.exit(code);
        if (signalledAt === undefined && signal === "SIGTERM") lingerMs = terminationLingerMs;
        signalledAt ??= performance.now();
        resolve();
      });
    }
  });
  let running: Pick<Gateway, "close" | "reload"> | undefined;
  // Without a listener SIGHUP would end the process.
  process.on("SIGHUP", () => void running?.reload());
  running = (await Promise.race([withoutOptimizing(start), signalled])) ?? undefined;
  if (running === undefined) process.exit(0);
  sizeYoungGeneration();
  await signalled;
  await running.close(lingerMs);
  return 0;
}
