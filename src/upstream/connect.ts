import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import type { SocketHandlers } from "../h2/connection.js";
import type { EndpointAddress, UpstreamTarget } from "./balancing/target.js";
import type { ChannelOptions } from "./options.js";

/** The secrets of a connection over TLS. */
export interface Secrets {
  readonly context: SecureContext;
  /** The name expected in the certificate; undefined: that of the target. */
  readonly serverName: string | undefined;
  /** The protocol that the server has to agree to (ALPN); undefined: none is required. */
  readonly alpn: string | undefined;
}

/**
 * The TLS side of an upstream; undefined for plain text.
 * @throws Error where certificate or key is not PEM, or they do not belong together
 */
export function createSecrets({ tls }: ChannelOptions, alpn?: string): Secrets | undefined {
  if (tls === undefined) return undefined;
  const { ca, cert, key, serverName } = tls;
  const context = createSecureContext({
    minVersion: "TLSv1.2",
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  return { context, serverName, alpn };
}

/**
 * All connections read into it: a socket fills it and calls back at once, and the callback uses or copies the bytes
 * before it returns. No await between.
 */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Opens a socket to an address, with TLS where there are secrets. */
export function openSocket(
  address: EndpointAddress,
  target: UpstreamTarget,
  secrets: Secrets | undefined,
  handlers: SocketHandlers,
): Socket {
  const location = locationOf(address);
  const onread = readInto(handlers);
  let failure: Error | undefined;
  let socket: Socket;
  if (secrets === undefined) {
    socket = connectPlain({ ...location, onread, noDelay: true });
    socket.once("connect", () => handlers.onOpen());
  } else {
    const serverName = secrets.serverName ?? (target.kind === "name" ? target.host : undefined);
    const options = {
      ...location,
      onread,
      noDelay: true,
      secureContext: secrets.context,
      ...(secrets.alpn !== undefined && { ALPNProtocols: [secrets.alpn] }),
      ...(serverName !== undefined && { servername: serverName }),
    };
    const tls = connectTls(options);
    tls.once("secureConnect", () => {
      const { alpn } = secrets;
      if (alpn === undefined || tls.alpnProtocol === alpn) handlers.onOpen();
      else tls.destroy(new Error(`the server did not agree to speak ${alpn} (TLS ALPN)`));
    });
    socket = tls;
  }
  socket.on("error", error => {
    failure ??= error;
  });
  socket.once("end", () => socket.destroySoon());
  socket.once("close", () => handlers.onClose(failure));
  return socket;
}

function readInto(handlers: SocketHandlers) {
  return {
    buffer: readBuffer,
    callback: (length: number, bytes: Uint8Array): boolean => {
      handlers.onRead(length, bytes as Buffer);
      return true;
    },
  };
}

/** `address.uri` as Node names it. */
function locationOf({ uri }: EndpointAddress): { path: string } | { host: string; port: number } {
  const [, path] = /^unix:(.*)$/s.exec(uri) ?? [];
  if (path !== undefined) return { path };
  const [, host = "", port] = /^ipv[46]:\[?([^\]]*?)\]?:(\d+)$/.exec(uri) ?? [];
  return { host, port: Number(port) };
}
