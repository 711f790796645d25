import type { HeaderList } from "../net/headers.js";

/**
 * The response to one request: `send` for one in one piece, `open` for a stream; one of them, once. After the peer has
 * gone both do nothing. Header values that no line can carry are left out (RFC 9110 §5.5).
 */
export interface ResponseWriter {
  /** Sends the whole response in one write. For HEAD the body is counted, not sent. */
  send(status: number, headers: HeaderList, body: string | Uint8Array): void;
  /**
   * Begins a response whose body comes in pieces. With a `content-length` among the headers the body has that many
   * bytes; else it is chunked, or ends with the connection where the client uses HTTP/1.0. HEAD, 204 and 304 have no
   * body: chunks are dropped.
   *
   * The head goes out by itself at the end of the turn, except where uWebSockets.js writes chunks: there it is complete with
   * the first one.
   */
  open(status: number, headers: HeaderList): BodyWriter;
  /** Ends the connection, so that the client sees that its response is incomplete. */
  abandon(): void;
}

/** The body of a response on its way. After the peer has gone, or after `abandon`, all of this does nothing. */
export interface BodyWriter {
  /**
   * @param chunk text, or bytes that are not to be changed any more
   * @returns false where the client is behind: nothing more should be written until `onDrain`
   */
  write(chunk: string | Uint8Array): boolean;
  /** Calls `listener` whenever the client has taken the waiting bytes. One listener. */
  onDrain(listener: () => void): void;
  /**
   * The body is complete; one that differs from its announced length ends as by `abandon`.
   * @param trailers sent where the response is chunked, and the engine can
   */
  end(trailers?: HeaderList): void;
}

/** A chunk as bytes, which are not to be changed. */
export function bytesOf(chunk: string | Uint8Array): Uint8Array {
  if (typeof chunk !== "string") return chunk;
  if (chunk === lastText) return lastBytes;
  const bytes = Buffer.from(chunk);
  if (chunk.length <= maxKeptText) {
    lastText = chunk;
    lastBytes = bytes;
  }
  return bytes;
}

/** Streams with the same events are written the same text in turn. */
let lastText = "";
let lastBytes: Uint8Array = Buffer.alloc(0);
/** Longer text is not kept. */
export const maxKeptText = 65_536;

/** A value that a header line may carry (RFC 9110 §5.5): no line ends, no other control characters, no wide ones. */
export function isHeaderValue(value: string): boolean {
  return headerValue.test(value);
}

const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Whether a response never has content (RFC 9110 §6.4.1). */
export function withoutContent(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/** The announced length of a body, undefined where there is none. */
export function announcedLength(headers: HeaderList): number | undefined {
  for (const [name, value] of headers) if (name === "content-length") return Number(value);
  return undefined;
}

/** For responses without content. */
export const discardingWriter: BodyWriter = {
  write: () => true,
  onDrain: () => undefined,
  end: () => undefined,
};
