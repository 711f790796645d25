const headEnd = Buffer.from("\r\n\r\n");

/** Most bytes of a response head, and of a chunk's size line. */
const longestHead = 16_384;

type State = "head" | "body" | "size" | "chunk" | "trailer";

/** A response that is not HTTP/1.1, or that leaves out how long it is. */
export class ResponseError extends Error {
  override readonly name = "ResponseError";
}

/**
 * Finds the end of each response on a connection that has one request under way at a time, and its status. Bodies
 * are counted, not kept. Understands `content-length` and chunked bodies (RFC 9112 §6, §7.1).
 */
export class ResponseReader {
  /** Of the response that `push` reported last. */
  status = 0;
  /** Bytes of all bodies, with the framing of chunks. */
  bodyBytes = 0;
  #state: State = "head";
  #left = 0;
  /** The beginning of a head or a line whose end is still to come. */
  #pending = "";

  /**
   * Takes bytes as they came.
   * @returns true where they complete the response
   * @throws ResponseError
   */
  push(bytes: Buffer): boolean {
    let at = 0;
    while (at < bytes.length) {
      const state: State = this.#state;
      switch (state) {
        case "head":
          at = this.#head(bytes, at);
          if (this.#state === "body" && this.#left === 0) return this.#complete(at, bytes);
          break;
        case "body": {
          const taken = Math.min(this.#left, bytes.length - at);
          this.bodyBytes += taken;
          this.#left -= taken;
          at += taken;
          if (this.#left === 0) return this.#complete(at, bytes);
          break;
        }
        case "chunk": {
          const taken = Math.min(this.#left, bytes.length - at);
          this.bodyBytes += taken;
          this.#left -= taken;
          at += taken;
          if (this.#left === 0) this.#state = "size";
          break;
        }
        case "size":
        case "trailer": {
          const end = bytes.indexOf(10, at);
          const text = bytes.toString("latin1", at, end < 0 ? bytes.length : end + 1);
          at += text.length;
          this.#keep(text);
          if (end >= 0 && this.#line()) return this.#complete(at, bytes);
          break;
        }
      }
    }
    return false;
  }

  #head(bytes: Buffer, at: number): number {
    const end = this.#pending === "" ? bytes.indexOf(headEnd, at) : -1;
    if (end >= 0) {
      this.#begin(bytes.toString("latin1", at, end + 4));
      return end + 4;
    }
    const before = this.#pending.length;
    // The rest of the head may have a long body behind it.
    this.#pending += bytes.toString("latin1", at, at + longestHead + 1);
    const joined = this.#pending.indexOf("\r\n\r\n");
    if (joined < 0) {
      if (this.#pending.length > longestHead) throw endless();
      return bytes.length;
    }
    this.#begin(this.#pending.slice(0, joined + 4));
    return at + joined + 4 - before;
  }

  #begin(head: string): void {
    this.#pending = "";
    if (!head.startsWith("HTTP/1.1 "))
      throw new ResponseError(`expected HTTP/1.1, found ${head.slice(0, 40)}`);
    this.status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined || this.status === 204) {
      this.#state = "body";
      this.#left = Number(length ?? 0);
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#state = "size";
    } else {
      throw new ResponseError("the response has neither content-length nor chunks");
    }
  }

  /** A whole line was read; true where it ends the response. */
  #line(): boolean {
    const line = this.#pending.trimEnd();
    this.#pending = "";
    if (this.#state === "trailer") return line === "";
    const size = Number.parseInt(line, 16);
    if (Number.isNaN(size)) throw new ResponseError(`expected a chunk size, found ${line.slice(0, 40)}`);
    this.#state = size === 0 ? "trailer" : "chunk";
    // The line break after the data belongs to the chunk.
    this.#left = size + 2;
    return false;
  }

  #keep(text: string): void {
    this.#pending += text;
    if (this.#pending.length > longestHead) throw endless();
  }

  #complete(at: number, bytes: Buffer): true {
    if (at !== bytes.length) throw new ResponseError("bytes follow the response that nobody asked for");
    this.#state = "head";
    return true;
  }
}

function endless(): ResponseError {
  return new ResponseError("the response head does not end");
}
