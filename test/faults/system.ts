import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { scriptOptions } from "../node-script.js";
import { freePort, untilAccepts } from "../ports.js";
import { get, type Response, type Served, type ServeOptions, serve } from "../workers/served.js";

/** What runs beside this process: it ends with it, also where a fault took too long. */
const running = new Set<number>();
process.on("exit", () => {
  for (const pid of running) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
});

/** A gateway in a process of its own, on free ports. */
export interface FaultyGateway {
  readonly served: Served;
  readonly port: number;
  readonly realtimePort: number;
  get(path: string): Promise<Response>;
  ready(): Promise<number>;
  metrics(): Promise<string>;
  metric(line: RegExp): Promise<number>;
}

/** The gateway of a fault, which ends with it. @param yaml everything but descriptors and listeners */
export async function withGateway<T>(
  yaml: string,
  work: (gateway: FaultyGateway) => Promise<T>,
  { engine = "fastify", ...options }: ServeOptions & { readonly engine?: string } = {},
): Promise<T> {
  const admin = await freePort();
  const fixed = options.output === undefined ? 0 : await freePort();
  const realtime = /^realtime:/m.test(yaml) ? "realtime: { address: 127.0.0.1:0 }, " : "";
  const listeners = `listeners: { http: { address: 127.0.0.1:${fixed}, engine: ${engine} }, ${realtime}admin: { address: 127.0.0.1:${admin} } }`;
  const served = serve(`${listeners}\n${yaml}`, undefined, options);
  running.add(served.pid);
  try {
    let ports: { http?: unknown; realtime?: unknown } = { http: fixed };
    if (fixed === 0) ports = await served.logged(({ msg }) => msg === "ready");
    else await untilAccepts(fixed, served.ended);
    const port = Number(ports.http);
    const adminText = async (path: string): Promise<Response> => get(`http://127.0.0.1:${admin}${path}`);
    return await work({
      served,
      port,
      realtimePort: Number(ports.realtime),
      get: path => get(`http://127.0.0.1:${port}${path}`),
      ready: async () => (await adminText("/readyz")).status,
      metrics: async () => (await adminText("/metrics")).text,
      metric: async line => Number(line.exec((await adminText("/metrics")).text)?.[1] ?? Number.NaN),
    });
  } finally {
    served.signal("SIGCONT");
    await served.close();
    running.delete(served.pid);
  }
}

/** A gRPC backend in a process of its own, which can be stopped and killed. It answers what it was asked. */
export class EchoBackend {
  readonly port: number;
  readonly #host: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, host: string) {
    this.port = port;
    this.#host = host;
  }

  /** @param host an address of loopback */
  static async start(port?: number, host = "127.0.0.1"): Promise<EchoBackend> {
    const backend = new EchoBackend(port ?? (await freePort()), host);
    await backend.start();
    return backend;
  }

  async start(): Promise<void> {
    const script = fileURLToPath(new URL(import.meta.url.replace(/system(\.\w+)$/, "echo-process$1")));
    const child = spawn(process.execPath, [...scriptOptions, script, String(this.port), this.#host], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.#child = child;
    running.add(child.pid ?? 0);
    await untilAccepts(this.port, once(child, "exit"), this.#host);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** @param signal SIGTERM: it answers what it has been asked before */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
    running.delete(child.pid ?? 0);
  }
}

/** Starts backends, and kills them when the work is done. */
export async function withBackends<T>(
  count: number,
  work: (backends: EchoBackend[]) => Promise<T>,
): Promise<T> {
  const backends = await Promise.all(Array.from({ length: count }, () => EchoBackend.start()));
  try {
    return await work(backends);
  } finally {
    for (const backend of backends) await backend.kill();
  }
}

/** A TCP server that does to each connection what it is told. */
export async function withTcpServer<T>(
  serve: (socket: Socket) => void,
  work: (port: number) => Promise<T>,
): Promise<T> {
  const open = new Set<Socket>();
  const server: Server = createServer(socket => {
    open.add(socket);
    socket.on("error", () => undefined).on("close", () => open.delete(socket));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await work((server.address() as { port: number }).port);
  } finally {
    for (const socket of open) socket.destroy();
    await once(server.close(), "close");
  }
}

/** Upstream `echo` at these ports. @param more settings of the upstream */
export function echoConfig(ports: readonly number[], more = ""): string {
  const targets = ports.map(port => `"127.0.0.1:${port}"`).join(", ");
  return `upstreams: { echo: { targets: [${targets}], timeout: 1s${more} } }
services: [{ service: test.v1.Echo, upstream: echo }]
`;
}

/** How often each status and reason came: `200 ×3, 503 UPSTREAM_UNAVAILABLE ×1`. */
export function counted(responses: readonly (Response | Error)[]): string {
  const counts = new Map<string, number>();
  for (const response of responses) {
    const what = response instanceof Error ? response.message : named(response);
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => `${what} ×${count}`).join(", ");
}

export function named({ status, text }: Response): string {
  const reason = /"reason":"(\w+)"/.exec(text)?.[1];
  return reason === undefined ? String(status) : `${status} ${reason}`;
}

/** Asks until the response is as it is to be. */
export async function until(ask: () => Promise<Response>, status: number): Promise<void> {
  for (;;) {
    const found = await ask().catch(() => undefined);
    if (found?.status === status) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
