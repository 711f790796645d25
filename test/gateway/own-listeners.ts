import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { engineUnderTest, socketEngineUnderTest } from "../engine.js";

export interface ListenersGateway {
  readonly gateway: Gateway;
  readonly log: Record<string, unknown>[];
  /** What `/config` of the admin listener says. */
  config(): Promise<Record<string, unknown>>;
  metrics(): Promise<string>;
  /** Writes other listeners and sections, and loads them. @returns the error of a failed reload */
  reload(http: string, yaml?: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * A gateway whose `listeners.http` the test writes; `ENGINE` in it stands for the engine under test.
 * @param yaml everything but `listeners`
 */
export async function startListeners(
  http: string,
  yaml: string,
  files: Readonly<Record<string, string>>,
): Promise<ListenersGateway> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  const file = (listeners: string, rest: string): string =>
    `listeners:\n  http: ${listeners.replaceAll("ENGINE", engineUnderTest())}\n  admin: { address: "127.0.0.1:0" }\n${rest}`;
  for (const [name, text] of Object.entries(files)) write(name, text);
  write("gateway.yaml", file(http, yaml));
  const log: Record<string, unknown>[] = [];
  const gateway = await startGateway(join(folder, "gateway.yaml"), {
    env: {},
    logTo: { write: line => void log.push(JSON.parse(line) as Record<string, unknown>) },
    socketEngine: socketEngineUnderTest(),
  });
  const admin = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${gateway.adminPort}${path}`);
  return {
    gateway,
    log,
    config: async () => (await (await admin("/config")).json()) as Record<string, unknown>,
    metrics: async () => (await admin("/metrics")).text(),
    reload: async (listeners, rest = yaml) => {
      write("gateway.yaml", file(listeners, rest));
      return (await gateway.reload()).error;
    },
    close: async () => {
      await gateway.close();
      rmSync(folder, { recursive: true });
    },
  };
}

export interface HostAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One request over HTTP/1.1 on a connection of its own, for a host that the test names. */
export function askHost(
  port: number,
  path: string,
  host: string,
  {
    method = "GET",
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<HostAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false },
      response => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", chunk => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
