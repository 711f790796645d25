import type { AppOptions, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { once } from "node:events";
import { createServer } from "node:net";
import { type ServerTls, unusable } from "./server-tls.js";

/** What is used of the addon. Its own types leave out the options of a listener that has a host. */
export interface Uws {
  App(): UwsApp;
  SSLApp(options: AppOptions): UwsApp;
  us_listen_socket_close(socket: us_listen_socket): void;
  us_socket_local_port(socket: us_listen_socket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

export interface UwsApp extends Omit<TemplatedApp, "listen"> {
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: us_listen_socket | false) => void,
  ): void;
}

/** The addon does not load here. */
export class AddonError extends Error {
  override readonly name = "AddonError";

  /** @param reason to follow the name of what needs the addon: `cannot be loaded on …` */
  constructor(
    readonly reason: string,
    options: ErrorOptions,
  ) {
    super(`the HTTP engine uws ${reason}; use \`listeners.http.engine: fastify\` elsewhere`, options);
  }
}

/**
 * The native addon, loaded when it is first asked for.
 * @param headLimit bytes of the target, names and values of a request head, which the addon reads from the environment
 *   when it is loaded; the first caller decides for the process, and every engine checks its own limit on top
 * @throws AddonError that says in one line why it cannot be loaded here
 */
export async function loadUws(headLimit: number): Promise<Uws> {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(headLimit + framing);
  try {
    return (await import("uWebSockets.js")) as unknown as Uws;
  } catch (error) {
    throw new AddonError(explain(error), { cause: error });
  }
}

/** Bytes of a head that count for no limit of ours: method, version, and what separates names, values and lines. */
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

/** @throws Error where the certificate cannot be used */
export function createApp(uws: Uws, tls: ServerTls | undefined): UwsApp {
  if (tls === undefined) return uws.App();
  try {
    return uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
  } catch (error) {
    throw unusable(tls.certFile, tls.keyFile, error);
  }
}

/**
 * Listens alone on the port: sharing it with another process would go unnoticed.
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot
 */
export async function listen(uws: Uws, app: UwsApp, host: string, port: number): Promise<us_listen_socket> {
  const socket = await new Promise<us_listen_socket | false>(resolve => {
    app.listen(host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
  });
  if (socket === false) throw await listenError(host, port);
  return socket;
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
