import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { LocalHandler } from "../../src/bindings/built-in-route.js";
import { type DemoBackend, startDemoBackend } from "../../src/demo/backend.js";
import { startGateway } from "../../src/gateway/gateway.js";
import { yamlUnderTest } from "../descriptor-source.js";
import { engineUnderTest, socketEngineUnderTest } from "../engine.js";
import { http2Ports } from "../http2-client.js";
import { type Answer, type Sent, send } from "./http-client.js";

/** A gateway in front of a demo backend of its own. */
export interface System {
  readonly httpPort: number;
  /** 0 where the configuration has no sockets. */
  readonly realtimePort: number;
  readonly adminPort: number;
  /** The lines that the gateway has logged so far. */
  log(): readonly string[];
  /** Resolves when a line has been logged that the pattern matches. */
  logged(pattern: RegExp): Promise<void>;
  send(method: string, path: string, sent?: Sent): Promise<Answer>;
  close(): Promise<void>;
}

/** What a test wants otherwise than the file has it. */
interface Variation {
  /** Of the file's text. */
  readonly change?: (yaml: string) => string;
  /** What the gateway serves beside the configuration. */
  readonly endpoints?: readonly LocalHandler[];
}

/** Starts both, on free ports, the gateway with the engine and the source of descriptors under test. */
export async function startSystem(configFile: string, variation: Variation = {}): Promise<System> {
  const { change = yaml => yaml, endpoints = [] } = variation;
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  try {
    const file = join(folder, "gateway.yaml");
    writeFileSync(file, await yamlUnderTest(change(onEngine(configFile)), folder));
    return await startFrom(file, endpoints);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function startFrom(configFile: string, endpoints: readonly LocalHandler[]): Promise<System> {
  const backend = await startDemoBackend();
  const lines: string[] = [];
  const written = new EventEmitter();
  try {
    const gateway = await startGateway(configFile, {
      env: environment(backend),
      endpoints,
      socketEngine: socketEngineUnderTest(),
      logTo: {
        write: line => {
          lines.push(line);
          written.emit("line");
        },
      },
    });
    http2Ports.add(gateway.httpPort);
    return {
      httpPort: gateway.httpPort,
      realtimePort: gateway.realtimePort,
      adminPort: gateway.adminPort,
      log: () => lines,
      logged: async pattern => {
        while (!lines.some(line => pattern.test(line))) await once(written, "line");
      },
      send: (method, path, sent) => send(gateway.httpPort, method, path, sent),
      close: async () => {
        http2Ports.delete(gateway.httpPort);
        await gateway.close();
        await backend.close();
      },
    };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

function environment({ port, trpcPort }: DemoBackend): Record<string, string> {
  return {
    HTTP_PORT: "0",
    REALTIME_PORT: "0",
    ADMIN_PORT: "0",
    DEMO_BACKEND_PORT: String(port),
    DEMO_TRPC_PORT: String(trpcPort),
  };
}

/** A configuration file with its listener's engine chosen and its relative paths made absolute. */
function onEngine(configFile: string): string {
  return readFileSync(configFile, "utf8")
    .replace("http: {", `http: { engine: ${engineUnderTest()},`)
    .replace(/(?<=protos: )\.\.?\//g, `${dirname(configFile)}/$&`);
}
