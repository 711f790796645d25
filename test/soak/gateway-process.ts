/** A gateway in a process of its own, whose memory can be watched. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { EngineName } from "../engine.js";
import { scriptOptions } from "../node-script.js";
import { startTicksGateway } from "../streams/ticks.js";

export interface GatewayProcess {
  readonly port: number;
  /** Begins to look for the most memory. */
  mark(): Promise<void>;
  /** Bytes by which the memory of the process (RSS) has grown above that of the mark, at most. */
  growth(): Promise<number>;
  close(): Promise<void>;
}

/** Both methods of `/ticks` are streams; over a WebSocket that of GET counts. */
const sockets = `http: { rules: [{ selector: test.v1.Ticks.Send, post: "/v1/rooms/{room}/ticks", body: "*", additional_bindings: [{ post: "/v1/rooms/{room}:send", body: "*" }] }] }`;

/** Milliseconds between two looks at the memory. */
const sampleMs = 20;

/** Starts a gateway in front of `test.v1.Ticks` at a port of this machine. */
export async function startGatewayProcess(engine: EngineName, backendPort: number): Promise<GatewayProcess> {
  const child = fork(fileURLToPath(import.meta.url), [String(backendPort)], {
    execArgv: [...scriptOptions],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { ...process.env, TEST_ENGINE: engine },
  });
  const exited = once(child, "exit");
  const ended = exited.then(([code]) => {
    throw new Error(`the gateway has ended with code ${code}`);
  });
  ended.catch(() => undefined);
  const heard = (): Promise<number> =>
    Promise.race([once(child, "message").then(([value]) => Number(value)), ended]);
  const ask = (what: string): Promise<number> => {
    child.send(what);
    return heard();
  };
  const port = await heard();
  return {
    port,
    mark: async () => void (await ask("mark")),
    growth: () => ask("growth"),
    close: async () => {
      child.send("close");
      await exited;
    },
  };
}

async function serve(backendPort: number): Promise<void> {
  const gateway = await startTicksGateway(backendPort, "", sockets);
  const parent = process as unknown as ChildProcess;
  let base = 0;
  let most = 0;
  const sample = (): void => {
    most = Math.max(most, process.memoryUsage.rss());
  };
  const timer = setInterval(sample, sampleMs);
  process.on("message", async what => {
    if (what === "close") {
      clearInterval(timer);
      await gateway.close();
      process.disconnect();
      return;
    }
    sample();
    if (what === "mark") {
      base = process.memoryUsage.rss();
      most = base;
    }
    parent.send(most - base);
  });
  process.on("disconnect", () => process.exit());
  parent.send(gateway.httpPort);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(Number(process.argv[2]));
