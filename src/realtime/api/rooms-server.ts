import { createHash, timingSafeEqual } from "node:crypto";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Hub } from "../rooms/hub.js";
import { createRoomsApi } from "./rooms-api.js";
import { loadRoomsProto } from "./rooms-proto.js";
import { roomsService } from "./rooms-service.js";

export interface RoomsServerOptions {
  /** A name or an IP address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** PEM; undefined for plain text. */
  readonly tls: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  /** What callers must send as `authorization: Bearer <token>`; undefined: nothing. */
  readonly token: string | undefined;
}

export interface RoomsServer {
  readonly port: number;
  /** Refuses new calls, lets those under way finish for a second, then drops what is left. */
  close(): Promise<void>;
}

/** Milliseconds. */
const closeGrace = 1000;

/**
 * Serves `protogate.realtime.v1.Rooms` over gRPC.
 * @throws Error where the address cannot be had, or key and certificate are bad
 */
export async function startRoomsServer(hub: () => Hub, options: RoomsServerOptions): Promise<RoomsServer> {
  const { host, port, tls, token } = options;
  const server = new Server();
  const { definition, implementation } = roomsService(
    await loadRoomsProto(),
    createRoomsApi(hub),
    bearer(token),
  );
  server.addService(definition, implementation);
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
        ]);
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, number) =>
      error === null ? resolve(number) : reject(error),
    );
  });
  return { port: bound, close: () => close(server) };
}

/** Whether `authorization` metadata has the token; compared in a time that tells nothing of it. */
function bearer(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(token);
  return authorization => {
    const [, given = ""] = /^Bearer +(.+)$/i.exec(authorization ?? "") ?? [];
    return timingSafeEqual(digest(given), expected);
  };
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const forced = setTimeout(() => server.forceShutdown(), closeGrace);
    server.tryShutdown(() => {
      clearTimeout(forced);
      resolve();
    });
  });
}
