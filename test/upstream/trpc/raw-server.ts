import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { RequestHeader } from "../../../src/demo/trpc/request.js";
import { TrpcReader } from "../../../src/upstream/trpc/frame.js";

/** A request as it came. */
export interface RawRequest {
  readonly id: number;
  readonly header: RequestHeader;
  readonly socket: Socket;
}

export interface RawServer {
  readonly address: string;
  /** Connections that were taken so far. */
  readonly accepted: () => number;
  /** Resolves when so many connections have been taken. */
  acceptedAre(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A server that does with requests whatever a test wants; `onConnection` may end the connection at once. */
export async function startRawServer(
  onRequest: (request: RawRequest) => void,
  onConnection: (socket: Socket, index: number) => void = () => {},
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer(socket => {
    sockets.add(socket);
    accepted++;
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
    const reader = new TrpcReader(
      {
        onHeader: (id, bytes, from, to) => {
          const header = RequestHeader.read(Buffer.from(bytes.subarray(from, to)));
          if (header !== undefined) onRequest({ id, header, socket });
          return -1;
        },
        onBody: () => {},
        onUnreadable: () => {},
        onOversized: () => {},
      },
      1 << 30,
    );
    socket.on("data", (bytes: Buffer) => reader.read(bytes, 0, bytes.length));
    onConnection(socket, accepted - 1);
    server.emit("accepted");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted: () => accepted,
    acceptedAre: async count => {
      while (accepted < count) await once(server, "accepted");
    },
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
