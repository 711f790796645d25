import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { startGateway } from "../../src/gateway/gateway.js";
import { sourceUnderTest, yamlUnderTest } from "../descriptor-source.js";
import { engineUnderTest, socketEngineUnderTest, versionUnderTest } from "../engine.js";
import { fetchHttp2, http2Ports } from "../http2-client.js";
import { rawMethod } from "../raw-method.js";

/** Answers one unary method in bytes. Identity serialization: what the gateway sent is what the handler sees. */
export type RawHandler = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => void;

export interface RecordedCall {
  readonly path: string;
  readonly request: Buffer;
  readonly metadata: Metadata;
}

export interface Backend {
  readonly port: number;
  /** Every call that reached the backend, in order. */
  readonly calls: RecordedCall[];
  close(): Promise<void>;
}

/** A real gRPC server on loopback with one handler a method path, `/package.Service/Method`. */
export async function startBackend(handlers: Readonly<Record<string, RawHandler>>): Promise<Backend> {
  const calls: RecordedCall[] = [];
  const server = new Server();
  for (const [path, handler] of Object.entries(handlers)) {
    server.addService(
      {
        method: rawMethod(path),
      },
      {
        method: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
          calls.push({ path, request: call.request, metadata: call.metadata });
          handler(call, reply);
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    calls,
    close: () => new Promise(resolve => server.tryShutdown(() => resolve())),
  };
}

/** Replies with the bytes of the request. */
export const echo: RawHandler = (call, reply) => reply(null, call.request);

/** What listeners have beside their address. */
export interface ListenerSettings {
  readonly admin?: object;
}

export interface TestGateway {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly admin: string;
  readonly httpPort: number;
  /** 0 without `realtime`. */
  readonly realtimePort: number;
  /** The log lines written so far, parsed. */
  readonly log: Record<string, unknown>[];
  /** Resolves with the first log line, old or new, that fits. */
  logged(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  /** Writes a file beside the configuration. */
  write(name: string, text: string): void;
  /** Writes the configuration anew. */
  rewrite(yaml: string, extra: ListenerSettings): void;
  reload(): Promise<void>;
  close(lingerMs?: number): Promise<void>;
}

/**
 * A gateway from YAML and proto files in a folder of its own. Listeners are added: both on free ports, with the engine
 * under test. Descriptors come from the source under test.
 * @param yaml everything but `listeners`
 * @param files by name, such as `protos/echo.proto`
 * @param onLog sees each log line, also those before the gateway is ready
 * @param extra settings of listeners
 */
export async function startTestGateway(
  yaml: string,
  files: Readonly<Record<string, string>>,
  onLog: (line: Record<string, unknown>) => void = () => undefined,
  extra: ListenerSettings = {},
): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const realtime = /^realtime:/m.test(yaml) ? "realtime: { address: 127.0.0.1:0 }, " : "";
  const listenersWith = ({ admin }: ListenerSettings): string =>
    `listeners: { http: { address: 127.0.0.1:0, engine: ${engineUnderTest()} }, ${realtime}admin: ${JSON.stringify({ address: "127.0.0.1:0", ...admin })} }\n`;
  const listeners = listenersWith(extra);
  let written = listeners + yaml;
  write("gateway.yaml", await yamlUnderTest(written, folder));

  const log: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  const logTo = {
    write(line: string): void {
      const entry = JSON.parse(line) as Record<string, unknown>;
      log.push(entry);
      onLog(entry);
      for (const look of waiting) look();
    },
  };
  const gateway = await startGateway(join(folder, "gateway.yaml"), {
    env: {},
    logTo,
    socketEngine: socketEngineUnderTest(),
  });
  http2Ports.add(gateway.httpPort);
  return {
    url: `http://127.0.0.1:${gateway.httpPort}`,
    admin: `http://127.0.0.1:${gateway.adminPort}`,
    httpPort: gateway.httpPort,
    realtimePort: gateway.realtimePort,
    log,
    logged: fits =>
      new Promise(resolve => {
        const look = (): void => {
          const found = log.find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    write: (name, text) => {
      if (name === "gateway.yaml") written = listeners + text;
      write(name, name === "gateway.yaml" ? written : text);
    },
    rewrite: (text, settings) => {
      written = listenersWith(settings) + text;
      write("gateway.yaml", written);
    },
    reload: async () => {
      if (sourceUnderTest() !== "protos") write("gateway.yaml", await yamlUnderTest(written, folder));
      await gateway.reload();
    },
    close: async lingerMs => {
      // The system may give the port to a listener that speaks HTTP/1.1 alone.
      http2Ports.delete(gateway.httpPort);
      await gateway.close(lingerMs);
      rmSync(folder, { recursive: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of a reply is what tests look at
  readonly json: any;
}

/** Sends one request and reads the whole reply; the body as JSON where it is JSON. */
export async function send(url: string, init: RequestInit = {}): Promise<Answer> {
  const over2 = versionUnderTest() === 2 && http2Ports.has(Number(new URL(url).port));
  const response = await (over2 ? fetchHttp2(url, init) : fetch(url, init));
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== "" ? JSON.parse(text) : undefined,
  };
}
