import { createHash } from "node:crypto";
import type { HistoryBounds } from "../brokers/broker.js";

/** Most messages of a feed that are remembered by their cursors. */
export const maxCursors = 10_000;
/** Characters of a cursor that is remembered as it is. */
const maxKey = 64;

/** The cursors of the messages of a feed that its room keeps, so that none of them is published twice. */
export class Cursors {
  #last: string | undefined;
  readonly #bounds: HistoryBounds;
  /** When messages were published, milliseconds since 1970, by the keys of their cursors; the oldest first. */
  readonly #times = new Map<string, number>();

  /** @param bounds of the room's history */
  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  /** That of the last message; undefined: none is known. */
  get last(): string | undefined {
    return this.#last;
  }

  /** Whether the message with that cursor is kept. */
  has(cursor: string, now = Date.now()): boolean {
    return (this.#times.get(keyOf(cursor)) ?? Number.NEGATIVE_INFINITY) > now - this.#bounds.ttl;
  }

  add(cursor: string, at = Date.now()): void {
    this.#last = cursor;
    const key = keyOf(cursor);
    this.#times.delete(key);
    this.#times.set(key, at);
    for (const [oldest] of this.#times) {
      if (this.#times.size <= Math.min(this.#bounds.messages, maxCursors)) return;
      this.#times.delete(oldest);
    }
  }
}

/** The cursor of a message in JSON: the member of that name, a string or an integer; undefined where it has none, or its default. */
export function cursorOf(message: unknown, name: string): string | undefined {
  const value = (message as Readonly<Record<string, unknown>> | null | undefined)?.[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** A short text for each cursor. */
function keyOf(cursor: string): string {
  return cursor.length <= maxKey ? cursor : `sha256 ${createHash("sha256").update(cursor).digest("hex")}`;
}
