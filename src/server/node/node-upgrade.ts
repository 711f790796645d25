import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { NodeConnection } from "./node-connections.js";

/**
 * Whether a request asks for a WebSocket in a way that can be served (RFC 6455 §4.1): with GET, and by HTTP/1.1, since no
 * upgrade counts by HTTP/1.0 (RFC 9110 §7.8).
 */
export function asksForWebSocket(request: IncomingMessage): boolean {
  if (request.method !== "GET" || request.httpVersion !== "1.1") return false;
  const offered = request.headers.upgrade ?? "";
  return offered.split(",").some(protocol => protocol.trim().toLowerCase() === "websocket");
}

/**
 * Puts a request back in front of what follows it on its connection, which Node.js has taken its parser off, to be
 * parsed again once no response before it is due. Node.js would else lose what follows a request whose upgrade is
 * ignored, and the order of the responses.
 * @param upgrade whether the request keeps its Upgrade header; without it is an ordinary one (RFC 9110 §7.8)
 * @param parse gives the connection a new parser
 */
export function putBack(
  request: IncomingMessage,
  head: Buffer,
  upgrade: boolean,
  connection: NodeConnection,
  parse: () => void,
): void {
  request.socket.unshift(Buffer.concat([headOf(request, upgrade), head]));
  holdUntilIdle(request.socket, connection, parse);
}

/** @param act runs once no response is due, unless the connection ends with the last one */
export function holdUntilIdle(socket: Socket, connection: NodeConnection, act: () => void): void {
  const release = keepUnread(socket, connection);
  connection.whenIdle(() => {
    release();
    if (socket.writable) act();
  });
}

function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage, upgrade: boolean): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (upgrade || rawHeaders[index]?.toLowerCase() !== "upgrade")
      text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** Does for the responses that are due what Node.js did with its parser, and lets nobody read what is behind. */
function keepUnread(socket: Socket, connection: NodeConnection): () => void {
  // With this listener `resume`, which Node.js calls for the responses, does not make the data flow to nobody.
  const unread = (): void => undefined;
  const drained = (): void => void connection.current?.notify("drain");
  const timedOut = (): void => {
    if (connection.current?.notify("timeout") !== true) socket.destroy();
  };
  socket.on("readable", unread);
  socket.on("drain", drained);
  socket.on("timeout", timedOut);
  return () => {
    socket.off("readable", unread);
    socket.off("drain", drained);
    socket.off("timeout", timedOut);
  };
}
