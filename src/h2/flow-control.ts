import type { Http2Stream } from "./stream.js";

/** How many bytes a peer may send ahead of the reader. */
export interface WindowSizes {
  /** Of a stream at first, and at most. */
  readonly stream: number;
  readonly maxStream: number;
  /** Of all streams of a connection together. */
  readonly connection: number;
}

/**
 * How much more a stream may be sent by its peer: bytes for a WINDOW_UPDATE (RFC 9113 §6.9), 0 for none now. Bytes that
 * the owner has not requested take from the window; of a message that it waits for, all missing bytes are let in at
 * once. A window that is used up within two round trips slows the stream, and grows up to `maxWindow`.
 *
 * An example: of a window of 256 KiB, 160 KiB have come and were taken. 96 KiB are left, so that the increment is 160 KiB:
 * at least half, so that it is sent. Were 100 KiB of these 160 still undelivered and not requested, the increment
 * would be 60 KiB: less than half, so that the peer has to wait.
 * @param roundTrip milliseconds
 */
export function windowIncrement(stream: Http2Stream, roundTrip: number, maxWindow: number): number {
  const { undelivered, readRequested, windowTarget } = stream;
  let window = windowTarget;
  if (undelivered !== undefined) {
    window -= undelivered.waiting + (readRequested ? 0 : undelivered.partial);
    if (readRequested) window = Math.max(window, undelivered.missing);
  }
  const increment = window - stream.receiveWindow;
  if (increment < windowTarget / 2) return 0;
  if (undelivered === undefined || readRequested) grow(stream, roundTrip, maxWindow);
  stream.receiveWindow += increment;
  return increment;
}

function grow(stream: Http2Stream, roundTrip: number, maxWindow: number): void {
  const now = performance.now();
  if (now - stream.windowUpdated < 2 * roundTrip)
    stream.windowTarget = Math.min(2 * stream.windowTarget, maxWindow);
  stream.windowUpdated = now;
}
