import { maxStreamWindow } from "../../h2/settings.js";
import type { CallStream } from "./call-stream.js";

/**
 * How much more a stream may be sent by its peer: bytes for a WINDOW_UPDATE, 0 for none now. What the listener has not
 * asked for takes from the window; of a message that it waits for, all that is missing is let in at once. A window that
 * is used up within two round trips is what slows the stream, and grows.
 */
export function windowIncrement(stream: CallStream, roundTrip: number): number {
  const { undelivered, wanted, windowTarget } = stream;
  let window = windowTarget;
  if (undelivered !== undefined) {
    window -= undelivered.waiting + (wanted ? 0 : undelivered.partial);
    if (wanted) window = Math.max(window, undelivered.missing);
  }
  const increment = window - stream.receiveWindow;
  if (increment < windowTarget / 2) return 0;
  if (undelivered === undefined || wanted) grow(stream, roundTrip);
  stream.receiveWindow += increment;
  return increment;
}

function grow(stream: CallStream, roundTrip: number): void {
  const now = performance.now();
  if (now - stream.windowUpdated < 2 * roundTrip)
    stream.windowTarget = Math.min(2 * stream.windowTarget, maxStreamWindow);
  stream.windowUpdated = now;
}
