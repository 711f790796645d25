import { decodeKeepingSlash, decodeText, describeBadEscape, hasDotSegment } from "./percent.js";

/** Most segments of a path. */
export const maxPathSegments = 512;

/** Why a path is refused, independent of the routes. */
export interface PathFault {
  readonly message: string;
  /** Index into the raw path, from 0. */
  readonly offset: number;
}

const slash = 0x2f;
const percent = 0x25;
const colon = 0x3a;
const dot = 0x2e;

/**
 * A raw path split on `/`, its segments decoded afterwards. One object is filled again for every path, so that
 * matching allocates next to nothing. `/` has no segment; every other path has one after each of its slashes,
 * empty ones included.
 */
export class PathScan {
  /** Number of segments. */
  count = 0;
  /** True where a colon in the last segment may set a verb off. */
  hasColon = false;
  #raw = "";
  /** Start of each segment, then one past the slash that would follow the last. */
  readonly #starts = new Int32Array(maxPathSegments + 1);
  readonly #texts: (string | undefined)[] = [];
  #escaped = false;
  #colon = -1;
  #whole = "";

  /** Fills the scan; a path with a fault leaves it unusable until the next one. */
  scan(raw: string): PathFault | undefined {
    this.#raw = raw;
    this.#escaped = false;
    this.#colon = -1;
    this.hasColon = false;
    this.count = 0;
    if (raw.charCodeAt(0) !== slash) return { message: 'a path must start with "/"', offset: 0 };
    const length = raw.length;
    if (length === 1) return undefined;

    const starts = this.#starts;
    let count = 0;
    let start = 1;
    let escaped = false;
    let lastColon = -1;
    starts[0] = 1;
    for (let index = 1; index <= length; index += 1) {
      const code = index === length ? slash : raw.charCodeAt(index);
      if (code === slash) {
        const fault = this.#close(count, start, index, escaped);
        if (fault !== undefined) return fault;
        if (index < length) {
          lastColon = -1;
          escaped = false;
        }
        count += 1;
        start = index + 1;
        if (count === maxPathSegments && index < length) {
          return { message: `the path has more than ${maxPathSegments} segments`, offset: index };
        }
        starts[count] = start;
      } else if (code === percent) {
        escaped = true;
        this.#escaped = true;
      } else if (code === colon) {
        lastColon = index;
      } else if (code < 0x21 || code > 0x7e) {
        const shown = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
        return { message: `the character ${shown} must be percent-encoded as UTF-8`, offset: index };
      }
    }
    this.count = count;
    if (lastColon < 0) return undefined;
    this.#colon = lastColon;
    this.hasColon = true;
    const lastStart = starts[count - 1] as number;
    const base = raw.slice(lastStart, lastColon);
    return isDotText(base) ? dotFault(lastStart) : undefined;
  }

  /** Checks one segment, and decodes it where it has an escape. */
  #close(index: number, start: number, end: number, escaped: boolean): PathFault | undefined {
    if (escaped) {
      const raw = this.#raw.slice(start, end);
      const text = decodeText(raw);
      if (text === undefined) {
        const { message, offset } = describeBadEscape(raw);
        return { message, offset: start + offset };
      }
      this.#texts[index] = text;
      return hasDotSegment(text) ? dotFault(start) : undefined;
    }
    this.#texts[index] = undefined;
    if (end - start > 2 || this.#raw.charCodeAt(start) !== dot) return undefined;
    return end - start === 1 || this.#raw.charCodeAt(start + 1) === dot ? dotFault(start) : undefined;
  }

  /** Decoded text of the verb candidate: the text after the last `:` of the last segment. Needs `hasColon`. */
  verb(): string {
    return decodeURIComponent(this.#raw.slice(this.#colon + 1));
  }

  /** Takes the verb off the last segment, until `restoreVerb`. Needs `hasColon`. */
  takeVerb(): void {
    const last = this.count - 1;
    this.#whole = this.text(last);
    this.#texts[last] = decodeURIComponent(this.#raw.slice(this.#starts[last], this.#colon));
    this.#starts[this.count] = this.#colon + 1;
  }

  restoreVerb(): void {
    this.#texts[this.count - 1] = this.#whole;
    this.#starts[this.count] = this.#raw.length + 1;
  }

  isEmpty(index: number): boolean {
    return (this.#starts[index + 1] as number) - (this.#starts[index] as number) === 1;
  }

  /** Decoded text of one segment. */
  text(index: number): string {
    const known = this.#texts[index];
    if (known !== undefined) return known;
    const text = this.#raw.slice(this.#starts[index], (this.#starts[index + 1] as number) - 1);
    this.#texts[index] = text;
    return text;
  }

  /** The segments from `start` to `end` (exclusive) with their slashes, decoded but for `%2F`; empty where there are none. */
  span(start: number, end: number): string {
    if (start >= end) return "";
    const raw = this.#raw.slice(this.#starts[start], (this.#starts[end] as number) - 1);
    return this.#escaped && raw.includes("%") ? decodeKeepingSlash(raw) : raw;
  }
}

function isDotText(raw: string): boolean {
  const text = decodeText(raw);
  return text !== undefined && hasDotSegment(text);
}

function dotFault(offset: number): PathFault {
  return { message: 'a path must not hold a "." or ".." segment', offset };
}
