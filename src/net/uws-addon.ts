import type {
  AppOptions,
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  WebSocketBehavior,
} from "uWebSockets.js";
import { once } from "node:events";
import { createServer } from "node:net";
import { type SharedPorts, sharedPorts } from "./shared-ports.js";

/** The parts of the addon that are used. Its own types leave out the options of a listener that has a host. */
export interface Uws {
  App(): UwsApp;
  SSLApp(options: AppOptions): UwsApp;
  us_listen_socket_close(socket: us_listen_socket): void;
  us_socket_local_port(socket: us_listen_socket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

/** Adds routes to an app before the app listens. */
export interface UwsRoutes {
  any(pattern: string, handle: (response: HttpResponse, request: HttpRequest) => void): unknown;
  ws<UserData>(pattern: string, behavior: WebSocketBehavior<UserData>): unknown;
  publish(topic: string, message: string, isBinary: boolean, compress: boolean): boolean;
}

export interface UwsApp extends Omit<TemplatedApp, "listen"> {
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: us_listen_socket | false) => void,
  ): void;
  getDescriptor(): number;
  /** Gives the connections that this app accepts to another, to several in turn. */
  addChildAppDescriptor(descriptor: number): void;
  removeChildAppDescriptor(descriptor: number): void;
}

/** The addon does not load here. */
export class AddonError extends Error {
  override readonly name = "AddonError";

  /** @param reason follows the name of the feature that needs the addon: `cannot be loaded on …` */
  constructor(
    readonly reason: string,
    options: ErrorOptions,
  ) {
    super(`the HTTP engine uws ${reason}; use \`listeners.http.engine: fastify\` elsewhere`, options);
  }
}

/**
 * The native addon, loaded at its first use.
 * @param headLimit bytes of the target, names and values of a request head, which the addon reads from the environment
 *   when it is loaded; the first caller decides for the process, and every engine checks its own limit on top
 * @throws AddonError with the reason, in one line, why it cannot be loaded here
 */
export async function loadUws(headLimit: number): Promise<Uws> {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(headLimit + framing);
  try {
    return (await import("uWebSockets.js")) as unknown as Uws;
  } catch (error) {
    throw new AddonError(explain(error), { cause: error });
  }
}

/**
 * The `idleTimeout` of uWebSockets.js, in seconds, that ends no silent socket before its time. Its timers tick every
 * four seconds and count a tick that has begun, so that the end comes up to four seconds late.
 * @param milliseconds 8000 to 900,000
 */
export function uwsIdleTimeout(milliseconds: number): number {
  return 4 * Math.ceil(milliseconds / 4000) + 4;
}

/** Bytes of a head that count for no limit of ours: method, version, and separators of names, values and lines. */
const framing = 1024;

function explain(error: unknown): string {
  const { platform, arch, version, versions } = process;
  const libc = platform === "linux" ? `, ${libcName()}` : "";
  const lines = String(error instanceof Error ? error.message : error).split("\n");
  const cause = lines.find(line => /^\w*Error: /.test(line)) ?? lines[0] ?? "";
  return (
    `cannot be loaded on ${platform} ${arch}${libc} with Node.js ${version} ` +
    `(ABI ${versions.modules}): ${cause.replace(/^\w*Error: /, "")}; its addon is built for Node.js 18 to 22 on ` +
    "glibc Linux, macOS and Windows"
  );
}

/** Node.js names glibc in its reports and nothing else. */
function libcName(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const glibc = report.header?.glibcVersionRuntime;
  return glibc === undefined ? "no glibc" : `glibc ${glibc}`;
}

/**
 * Listens alone on the port, as sharing it with another process would go unnoticed, or with the other workers.
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot
 */
export async function listen(uws: Uws, app: UwsApp, host: string, port: number): Promise<us_listen_socket> {
  const shared = sharedPorts();
  const socket =
    shared === undefined
      ? listenAt(app, host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT)
      : listenWithOthers(uws, app, host, port, shared);
  if (socket === undefined) throw await listenError(host, port);
  return socket;
}

/** The addon calls back before `listen` returns. */
function listenAt(app: UwsApp, host: string, port: number, options: number): us_listen_socket | undefined {
  let socket: us_listen_socket | false = false;
  app.listen(host, port, options, listening => {
    socket = listening;
  });
  return socket === false ? undefined : socket;
}

/**
 * The system gives each connection to one of the listening sockets (`SO_REUSEPORT`). The first one checks that no other
 * process listens, and has the system choose the port where it is 0, which the addon does not share.
 */
function listenWithOthers(
  uws: Uws,
  app: UwsApp,
  host: string,
  port: number,
  shared: SharedPorts,
): us_listen_socket | undefined {
  const known = port === 0 ? shared.chosen[shared.used] : port;
  if (known !== undefined && !shared.first) {
    if (port === 0) shared.used++;
    return listenAt(app, host, known, 0);
  }
  // Another process may be faster, where any port will do.
  for (let attempts = port === 0 ? 100 : 1; attempts > 0; attempts--) {
    const alone = listenAt(app, host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT);
    if (alone === undefined) return undefined;
    const chosen = uws.us_socket_local_port(alone);
    uws.us_listen_socket_close(alone);
    const socket = listenAt(app, host, chosen, 0);
    if (socket === undefined) continue;
    if (port === 0) shared.used = shared.chosen.push(chosen);
    return socket;
  }
  return undefined;
}

/** uWebSockets.js does not report why it cannot listen; Node.js does. */
async function listenError(host: string, port: number): Promise<unknown> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
  } catch (error) {
    return error;
  }
  server.close();
  return new Error(`uWebSockets.js cannot listen on ${host}:${port}`);
}
