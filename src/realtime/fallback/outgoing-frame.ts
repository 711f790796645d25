/** A frame for clients. What a transport makes of it is made once for all of them. */
export class OutgoingFrame {
  readonly text: string;
  #bytes: number | undefined;
  #event: EventText | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** Of the text in UTF-8. */
  get bytes(): number {
    this.#bytes ??= Buffer.byteLength(this.text);
    return this.#bytes;
  }

  /** A server-sent event. */
  get event(): EventText {
    this.#event ??= new EventText(`data: ${dataOf(this.text)}\n\n`);
    return this.#event;
  }
}

/** One event of a stream or several. Streams that are sent the same events in one turn share the text of all of them. */
export class EventText {
  readonly text: string;
  /** Of the text in UTF-8. */
  readonly bytes: number;
  #next: EventText | undefined;
  #withNext: EventText | undefined;

  constructor(text: string, bytes = Buffer.byteLength(text)) {
    this.text = text;
    this.bytes = bytes;
  }

  followedBy(next: EventText): EventText {
    if (this.#withNext === undefined || this.#next !== next) {
      this.#next = next;
      this.#withNext = new EventText(this.text + next.text, this.bytes + next.bytes);
    }
    return this.#withNext;
  }
}

/** JSON may have line ends between its tokens: each line is one of the event's. */
function dataOf(text: string): string {
  return lineEnd.test(text) ? text.replaceAll(lineEnds, "\ndata: ") : text;
}

const lineEnd = /[\r\n]/;
const lineEnds = /\r\n|\r|\n/g;
