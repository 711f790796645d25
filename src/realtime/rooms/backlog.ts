import type { SentType } from "../metrics.js";

/**
 * The frames that a room has sent since one of its members fell behind, as a list: each slow member holds its position
 * in it, and frames that all have passed are garbage. However many are behind, there is one copy of each frame.
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

  /** The position of a member that has been sent all of it. */
  get last(): BacklogEntry {
    return this.#last;
  }

  /** @param seq 0 for frames without a number */
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

/** One frame of a room; as a position: the frames after it are still to be sent. */
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
