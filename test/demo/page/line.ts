import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A wire between a browser and a gateway, which can be cut. */
export interface Line {
  readonly port: number;
  /** What is sent from now on does not arrive. */
  hold(): void;
  /** Ends every connection, and refuses new ones. */
  cut(): void;
  /** Takes connections again. @param port where they go from now on */
  restore(port?: number): void;
  close(): Promise<void>;
}

export async function startLine(target: number): Promise<Line> {
  let port = target;
  let whole = true;
  const sockets = new Set<Socket>();
  const watch = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const cut = (): void => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer(near => {
    watch(near);
    if (!whole) {
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    watch(far);
    near.pipe(far).pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    hold: () => {
      for (const socket of sockets) socket.unpipe();
    },
    cut,
    restore: (to = port) => {
      port = to;
      whole = true;
    },
    close: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
