import type { HttpResponse } from "uWebSockets.js";
import { type BodyWriter, bytesOf } from "../response-writer.js";

export interface UwsBodyOptions {
  /** Bytes of the body; undefined where it is chunked. */
  readonly length: number | undefined;
  /** Nothing more may be read from the connection: it has to end with the response. */
  readonly last: boolean;
  /** The gateway ends the connection after the response. */
  readonly close: boolean;
  /** The client has requested that; uWebSockets.js ends the connection. */
  readonly clientCloses: boolean;
}

export interface UwsBodyOwner {
  /** The last byte of the response is about to be given, after which uws's response must not be used any more. */
  lastByte(): void;
  /** The response is out. */
  ended(): void;
}

/** Bytes of a response that is sent in one piece where its connection must end with it. */
const maxCollectedBytes = 65_536;
/** Longest time that such a response is waited for. */
const maxCollectMs = 25;

/**
 * Writes a response piece by piece. uWebSockets.js has two ways: chunks (`write`, `end`), which it buffers while the
 * client does not take them, and bodies of a known length (`tryEnd`), of which it takes as much as the client does.
 *
 * Neither ends the connection with the response, unless the client has requested that; only a response in one piece
 * does. Where the connection must end, a short response is therefore collected and sent in one piece. A longer one of
 * known length is announced one byte longer to uWebSockets.js than to the client, so that the response is not over when
 * its last byte is out, and the connection can be closed then. After a chunked one the connection is not read any more,
 * and the addon closes it within seconds.
 */
export class UwsBodyWriter implements BodyWriter {
  readonly #response: HttpResponse;
  readonly #head: string | Uint8Array;
  readonly #options: UwsBodyOptions;
  readonly #owner: UwsBodyOwner;
  /** The length that is announced to uWebSockets.js. */
  readonly #total: number;
  /** Bytes of the body that were given to `write`. */
  #written = 0;
  /** Waits until it can be written, in order: the whole body while it is collected. */
  #pending: Uint8Array[] = [];
  /** Offset in the body of the first piece that waits. */
  #pendingStart = 0;
  #begun = false;
  #endRequested = false;
  #over = false;
  #behind = false;
  #drained: (() => void) | undefined;
  #collecting: NodeJS.Timeout | undefined;

  constructor(
    response: HttpResponse,
    head: string | Uint8Array,
    options: UwsBodyOptions,
    owner: UwsBodyOwner,
  ) {
    this.#response = response;
    this.#head = head;
    this.#options = options;
    this.#owner = owner;
    const { length = 0, last, clientCloses } = options;
    this.#total = last && length > 0 ? length + 1 : length;
    if (last && length <= maxCollectedBytes) this.#collecting = setTimeout(() => this.#begin(), maxCollectMs);
    // Within the parser the rest of its bytes would be parsed once the response is out.
    else if (last || clientCloses) setImmediate(() => this.#begin());
    else this.#begin();
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#over || this.#endRequested || chunk.length === 0) return !this.#behind;
    const { length } = this.#options;
    const bytes = bytesOf(chunk);
    this.#written += bytes.length;
    if (length !== undefined && this.#written > length) {
      this.#response.close();
      return true;
    }
    if (!this.#begun || this.#pending.length > 0) {
      this.#pending.push(bytes);
      if (this.#collecting === undefined || this.#written <= maxCollectedBytes) return !this.#behind;
      this.#begin();
      return !this.#behind;
    }
    if (length === undefined) this.#writeChunk(bytes);
    else {
      this.#pending.push(bytes);
      this.#response.cork(() => this.#flush());
    }
    return !this.#behind;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  /** uWebSockets.js sends no trailers. */
  end(): void {
    if (this.#over || this.#endRequested) return;
    this.#endRequested = true;
    const { length } = this.#options;
    if (length !== undefined && this.#written < length) this.#response.close();
    else if (this.#collecting !== undefined) setImmediate(() => this.#sendCollected());
    else if (this.#begun && this.#pending.length === 0) this.#finish();
  }

  /** The peer has gone. */
  abort(): void {
    this.#over = true;
    this.#pending = [];
    clearTimeout(this.#collecting);
  }

  #begin(): void {
    clearTimeout(this.#collecting);
    this.#collecting = undefined;
    if (this.#over || this.#begun) return;
    this.#begun = true;
    const { length, last, close, clientCloses } = this.#options;
    this.#response.cork(() => {
      this.#response.writeStatus(this.#head);
      if ((last || close) && !clientCloses) this.#response.writeHeader("connection", "close");
      // Announces the length that the client is to see, and sends the head.
      if (length !== undefined && length > 0) this.#response.tryEnd("", length);
      if (length !== undefined) this.#flush();
    });
    if (length === undefined) {
      for (const chunk of this.#pending.splice(0)) this.#writeChunk(chunk);
      this.#pendingStart = this.#written;
    }
    if (this.#endRequested && this.#pending.length === 0) this.#finish();
  }

  #sendCollected(): void {
    if (this.#over) return;
    clearTimeout(this.#collecting);
    this.#owner.lastByte();
    const body = Buffer.concat(this.#pending);
    this.#response.cork(() => this.#response.writeStatus(this.#head).end(body, true));
    this.#ended();
  }

  #writeChunk(chunk: Uint8Array): void {
    let taken = true;
    this.#response.cork(() => {
      taken = this.#response.write(chunk);
    });
    if (!taken) this.#await(() => true);
  }

  /** Within a cork: writes the waiting bytes, as many as the client takes. @returns whether it has taken all */
  #flush(): boolean {
    while (this.#pending.length > 0) {
      const chunk = this.#pending[0] as Uint8Array;
      // After its last byte the response must not be used, and the rest of the request's body comes before the next one.
      if (this.#pendingStart + chunk.length >= this.#total) this.#owner.lastByte();
      const offset = this.#response.getWriteOffset() - this.#pendingStart;
      const [taken, done] = this.#response.tryEnd(chunk.subarray(offset), this.#total);
      if (done) {
        this.#pending = [];
        this.#ended();
        return true;
      }
      if (!taken) {
        this.#await(() => this.#flush());
        return false;
      }
      this.#pendingStart += chunk.length;
      this.#pending.shift();
    }
    return true;
  }

  /** @param retry whether the client has taken all that it was given; gives it more */
  #await(retry: () => boolean): void {
    if (this.#behind) return;
    this.#behind = true;
    this.#response.onWritable(() => {
      if (this.#over) return true;
      if (!retry()) return false;
      this.#behind = false;
      if (this.#over) return true;
      if (this.#endRequested) this.#finish();
      else this.#drained?.();
      return true;
    });
  }

  /** All bytes are given. */
  #finish(): void {
    if (this.#over) return;
    const { length, last } = this.#options;
    if (length === undefined) {
      this.#owner.lastByte();
      if (last) this.#response.pause();
      this.#response.cork(() => this.#response.end());
      this.#ended();
    } else if (length === 0) {
      this.#owner.lastByte();
      this.#response.cork(() => this.#response.tryEnd("", 0));
      this.#ended();
    } else {
      this.#closeWhenDrained();
    }
  }

  /** The byte that the response is longer than its body never comes. */
  #closeWhenDrained(): void {
    const close = (): void => {
      if (this.#over) return;
      this.#ended();
      this.#response.close();
    };
    const drained = (): boolean => this.#response.tryEnd("", this.#total)[0];
    let taken = false;
    this.#response.cork(() => {
      taken = drained();
    });
    // Not from within a callback of the connection that this ends.
    if (taken) setImmediate(close);
    else
      this.#response.onWritable(() => {
        if (this.#over || !drained()) return this.#over;
        setImmediate(close);
        return true;
      });
  }

  #ended(): void {
    this.#over = true;
    this.#owner.ended();
  }
}
