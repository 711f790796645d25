import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { HeaderList } from "../../net/headers.js";
import { type BodyWriter, isHeaderValue, maxKeptText } from "../response-writer.js";

/** Up to so many bytes are copied into one piece with their framing. */
const maxCopiedBytes = 4096;
/** Text that is collected before the connection gets it within a turn. */
const maxPendingText = 16 * 1024;

/** Those with text of this turn that the connection has not been given. */
let pending: NodeBodyWriter[] = [];

/**
 * Writes a response piece by piece: the pieces of one turn of the event loop go to the system in one call, the last
 * chunk together with the end. Chunks are framed here, and given to the connection once its head is out: Node.js makes
 * four pieces of each, and tracks every one.
 */
export class NodeBodyWriter implements BodyWriter {
  readonly #response: ServerResponse;
  readonly #chunked: boolean;
  /** Bytes of the announced length that are still to come. */
  #left: number | undefined;
  readonly #abandon: () => void;
  #written = false;
  #behind = false;
  #drained: (() => void) | undefined;
  /** Waits for the connection itself. */
  #listening = false;
  /** Text of this turn that the connection has not been given. */
  #pending = "";

  /** @param response whose head is written, if not out */
  constructor(response: ServerResponse, length: number | undefined, abandon: () => void) {
    this.#response = response;
    this.#chunked = response.chunkedEncoding;
    response.chunkedEncoding = false;
    this.#left = length;
    this.#abandon = abandon;
    response.on("drain", this.#resume);
    // Together with chunks written in the same turn. (`flushHeaders` would write the head as UTF-8.)
    setImmediate(NodeBodyWriter.#writeHead, this);
  }

  static #writeHead(writer: NodeBodyWriter): void {
    if (!writer.#written && !writer.#over) writer.#give("");
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#over) return true;
    if (chunk.length === 0) return !this.#behind;
    if (this.#left !== undefined) {
      this.#left -= typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
      if (this.#left < 0) {
        this.#abandon();
        return true;
      }
    }
    if (typeof chunk === "string") {
      this.#give(this.#chunked ? framedText(chunk) : latin1Of(chunk, Buffer.byteLength(chunk)));
    } else if (!this.#chunked) {
      this.#give(chunk);
    } else if (chunk.length <= maxCopiedBytes) {
      this.#give(framed(chunk));
    } else {
      this.#give(chunkHead(chunk.length));
      this.#give(chunk);
      this.#give("\r\n");
    }
    return !this.#behind;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  end(trailers: HeaderList = []): void {
    if (this.#over) return;
    if (this.#left !== undefined && this.#left > 0) {
      this.#abandon();
      return;
    }
    const last = this.#chunked ? this.#pending + lastChunk(trailers) : this.#pending;
    this.#pending = "";
    if (last === "") this.#response.end();
    else this.#response.end(last, "latin1");
  }

  /**
   * Given to the connection at once where it is this response's turn, together with further pieces of this turn.
   * @param piece bytes, or text of which each character is one
   */
  #give(piece: string | Uint8Array): void {
    const response = this.#response;
    const { socket } = response;
    // The head goes with the first piece.
    if (socket === null || !this.#written) {
      this.#written = true;
      if (!response.write(piece, "latin1")) this.#behind = true;
      return;
    }
    if (typeof piece === "string" && socket.writableCorked === 0) {
      if (this.#pending === "") givePendingLater(this);
      this.#pending += piece;
      if (this.#pending.length > maxPendingText) this.givePending();
      return;
    }
    this.givePending();
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(uncork, socket);
    }
    this.#giveTo(socket, piece);
  }

  /** Gives the connection the text of this turn. `cork` would keep an account of each piece. */
  givePending(): void {
    const text = this.#pending;
    this.#pending = "";
    const { socket } = this.#response;
    if (text !== "" && socket !== null && !this.#over) this.#giveTo(socket, text);
  }

  #giveTo(socket: Socket, piece: string | Uint8Array): void {
    if (socket.write(piece, "latin1")) return;
    this.#behind = true;
    if (this.#listening) return;
    this.#listening = true;
    socket.once("drain", () => {
      this.#listening = false;
      this.#resume();
    });
  }

  readonly #resume = (): void => {
    if (!this.#behind) return;
    this.#behind = false;
    if (!this.#over) this.#drained?.();
  };

  get #over(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }
}

function uncork(socket: Socket): void {
  socket.uncork();
}

/** At the end of this turn. */
function givePendingLater(writer: NodeBodyWriter): void {
  if (pending.length === 0) process.nextTick(givePending);
  pending.push(writer);
}

function givePending(): void {
  const writers = pending;
  pending = [];
  for (const writer of writers) writer.givePending();
}

/** Streams with the same events are written the same text in turn. */
let lastText = "";
let lastFramed = "";

/** A chunk in one piece (RFC 9112 §7.1), of which each character is one byte. */
function framedText(text: string): string {
  if (text === lastText) return lastFramed;
  const size = Buffer.byteLength(text);
  const chunk = `${chunkHead(size)}${latin1Of(text, size)}\r\n`;
  if (size <= maxKeptText) {
    lastText = text;
    lastFramed = chunk;
  }
  return chunk;
}

/** UTF-8 as text of which each character is one byte: the head that may go before it is Latin-1. */
function latin1Of(text: string, size: number): string {
  return size === text.length ? text : Buffer.from(text).toString("latin1");
}

function chunkHead(size: number): string {
  return `${size.toString(16)}\r\n`;
}

/** A chunk in one piece. */
function framed(chunk: Uint8Array): Buffer {
  const before = chunkHead(chunk.length);
  const bytes = Buffer.allocUnsafe(before.length + chunk.length + 2);
  bytes.write(before, 0, "latin1");
  bytes.set(chunk, before.length);
  bytes.write("\r\n", before.length + chunk.length, "latin1");
  return bytes;
}

/** The chunk that ends a body, and its trailers. */
function lastChunk(trailers: HeaderList): string {
  let text = "0\r\n";
  for (const [name, value] of trailers) if (isHeaderValue(value)) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}
