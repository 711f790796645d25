import { CloseCode } from "../chat/close-code.js";
import type { Realtime } from "../realtime.js";
import type { Socket } from "../rooms/socket.js";

/**
 * A client has sent a ping. It counts as any other frame does, since its pong waits for the client like other frames.
 * @returns whether it gets a pong, where that is for the gateway to decide
 */
export function pingReceived({ chat, sockets }: Realtime, socket: Socket): boolean {
  const now = performance.now();
  if (socket.ending !== undefined) {
    // Whoever reads does not send pings by the dozen meanwhile.
    if (socket.strike(now)) endNow(socket);
    return false;
  }
  if (!socket.admits(now, chat.options.rate)) {
    sockets.metrics.dropped.rate_limited.inc();
    if (socket.strike(now)) flooded({ sockets }, socket);
    return false;
  }
  if (socket.buffered <= sockets.sendLimit) return true;
  sockets.tooSlow(socket);
  return false;
}

/** A pong costs a strike, whether asked for or not: the gateway sends far fewer pings than the client has strikes. */
export function pongReceived({ sockets }: Realtime, socket: Socket): void {
  if (!socket.strike(performance.now())) return;
  if (socket.ending !== undefined) endNow(socket);
  else flooded({ sockets }, socket);
}

function flooded({ sockets }: Pick<Realtime, "sockets">, socket: Socket): void {
  sockets.open.end(socket, CloseCode.flood, '{"reason":"RATE_LIMITED"}');
}

/** Without waiting for the client to read: every frame that it sends until then could make it wait for more. */
function endNow(socket: Socket): void {
  const { ending } = socket;
  if (ending !== undefined) socket.end(ending.code, ending.reason);
}
