import type { Socket } from "node:net";

/** Longest time that a client has to end its side of a connection after its last response, milliseconds. */
const maxGrace = 2000;

/**
 * Ends a connection after its last response. Further bytes are read and dropped for a while, since a connection that is
 * closed with bytes unread is reset, which can cost the client the response (RFC 9112 §9.6).
 * @param grace milliseconds, at most 2000 count, after which a client that has not ended its side is cut off
 */
export function closeLingering(socket: Socket, grace: number, text?: string): void {
  if (text === undefined) socket.end();
  else socket.end(text, "latin1");
  const timer = setTimeout(() => socket.destroy(), Math.min(grace, maxGrace)).unref();
  socket.once("close", () => clearTimeout(timer));
  // Where Node.js still parses the connection, it reads it too.
  if (socket.listenerCount("data") === 0) socket.on("data", () => undefined).resume();
}

/** Has Node.js, which would destroy the connection after a response with `Connection: close`, end it like that. */
export function lingerAfterLast(socket: Socket, grace: number): void {
  socket.destroySoon = () => closeLingering(socket, grace);
}
