import type { SentType } from "../metrics.js";

/**
 * What a room has sent since one of its members fell behind, as a list: who is behind holds its position in it, and
 * what everybody has passed is garbage. However many are behind, there is one copy of everything.
 */
export class Backlog {
  /** Members that hold a position. */
  holders = 0;
  #last: BacklogEntry = {
    text: "",
    type: "notice",
    seq: 0,
    except: undefined,
    bytes: 0,
    end: 0,
    next: undefined,
  };

  /** The position of who has been sent all of it. */
  get last(): BacklogEntry {
    return this.#last;
  }

  /** @param seq 0 for what has none */
  add(type: SentType, text: string, bytes: number, seq: number, except: object | undefined): void {
    const end = this.#last.end + bytes;
    const entry: BacklogEntry = { text, type, seq, except, bytes, end, next: undefined };
    this.#last.next = entry;
    this.#last = entry;
  }

  /** Bytes that were sent after that. */
  since(position: BacklogEntry): number {
    return this.#last.end - position.end;
  }
}

/** One frame of a room; as a position: what follows it is still to be sent. */
export interface BacklogEntry {
  readonly text: string;
  readonly type: SentType;
  readonly seq: number;
  /** Does not get it. */
  readonly except: object | undefined;
  readonly bytes: number;
  /** Bytes of all that was sent up to its end. */
  readonly end: number;
  next: BacklogEntry | undefined;
}
