import type { Socket } from "node:net";

/** The preface of a client that uses HTTP/2 (RFC 9113 §3.4); no request of HTTP/1.1 begins so. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Reads from a connection until it is known whether it uses HTTP/2.
 * @param timeoutMs for the first bytes; a connection that stays silent is ended
 * @param http2 called with the bytes after the preface
 * @param other called for any other protocol, with all bytes put back
 */
export function readPreface(
  socket: Socket,
  timeoutMs: number,
  http2: (rest: Buffer) => void,
  other: () => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const giveUp = (): void => void socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs).unref();
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const size = Math.min(seen.length, preface.length);
    const same = preface.compare(seen, 0, size, 0, size) === 0;
    if (same && size < preface.length) return;
    stop();
    if (same) {
      http2(seen.subarray(size));
    } else {
      socket.unshift(seen);
      other();
    }
  };
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", read);
    socket.off("end", giveUp);
    socket.off("close", stop);
  };
  socket.on("readable", read);
  socket.once("end", giveUp);
  socket.once("close", stop);
}
