import type { HttpResponse, us_listen_socket } from "uWebSockets.js";
import { randomBytes } from "node:crypto";
import { Socket } from "node:net";
import type { Uws } from "./uws-addon.js";

/** See `holdCork`. */
export interface HeldCork {
  /** Calls `act`, within a cork of uWebSockets.js that is not that of a connection of `act`. */
  run(act: () => void): void;
  close(): void;
}

/**
 * A connection of the process with itself, whose request never gets a response: work in its cork is in no other
 * connection's cork.
 *
 * The addon requires a cork for opening a WebSocket after its handler has returned. But the cork of the connection
 * itself reads, at its end, memory that belonged to the response, which has become a socket: depending on its content,
 * it may end the connection.
 */
export async function holdCork(uws: Uws): Promise<HeldCork> {
  const path = `/${randomBytes(16).toString("hex")}`;
  let held: HttpResponse | undefined;
  let listening: us_listen_socket | undefined;
  const app = uws.App();
  const client = new Socket();
  const arrived = new Promise<void>((resolve, reject) => {
    client.on("error", reject);
    app.get(path, response => {
      held = response;
      response.onAborted(() => {
        held = undefined;
      });
      resolve();
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    app.listen("127.0.0.1", 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, socket => {
      if (socket === false) {
        reject(new Error("uWebSockets.js cannot listen on the loopback"));
        return;
      }
      listening = socket;
      resolve(uws.us_socket_local_port(socket));
    });
  });
  client.connect(port, "127.0.0.1");
  client.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await arrived;
  // Only one client is expected.
  if (listening !== undefined) uws.us_listen_socket_close(listening);
  return {
    run(act) {
      if (held === undefined) act();
      else held.cork(act);
    },
    close() {
      client.destroy();
      app.close();
    },
  };
}
