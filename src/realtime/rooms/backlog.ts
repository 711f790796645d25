import type { SentType } from "../metrics.js";
import type { Socket } from "./socket.js";

/**
 * What a room has said since one of its members fell behind, as a list: who is behind holds its place in it, and what
 * everybody has passed is garbage. However many are behind, there is one copy of everything.
 */
export class Backlog {
  /** Members that hold a place. */
  holders = 0;
  #last: Said = { text: "", type: "notice", seq: 0, except: undefined, bytes: 0, end: 0, next: undefined };

  /** The place of who has been sent all of it. */
  get last(): Said {
    return this.#last;
  }

  /** @param seq 0 for what has none */
  add(type: SentType, text: string, bytes: number, seq: number, except: Socket | undefined): void {
    const end = this.#last.end + bytes;
    const said: Said = { text, type, seq, except, bytes, end, next: undefined };
    this.#last.next = said;
    this.#last = said;
  }

  /** Bytes that were said after that. */
  since(place: Said): number {
    return this.#last.end - place.end;
  }
}

/** One frame of a room; as a place, what stands behind it is still to be sent. */
export interface Said {
  readonly text: string;
  readonly type: SentType;
  readonly seq: number;
  /** Does not get it. */
  readonly except: Socket | undefined;
  readonly bytes: number;
  /** Bytes of all that was said up to its end. */
  readonly end: number;
  next: Said | undefined;
}
