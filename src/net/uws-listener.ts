import type { us_listen_socket } from "uWebSockets.js";
import { once } from "node:events";
import { createServer } from "node:net";
import { type ServerTls, unusable } from "./server-tls.js";
import type { Uws, UwsApp } from "./uws-addon.js";

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

/** uWebSockets.js does not tell why it cannot listen; Node.js does. */
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
