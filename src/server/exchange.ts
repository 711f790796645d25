import type { ClientCertificate } from "../auth/caller.js";
import type { Cancellation } from "../net/cancellation.js";
import type { Passed, PassThrough } from "../upstream/pass-through.js";

/** Header names in lower case, one entry a field line, in the order in which they are sent. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/**
 * One HTTP request and its reply as the pipeline sees them, whatever engine is behind.
 * An engine makes one per request and keeps nothing of it after the reply.
 */
export interface Exchange {
  /** Upper case. */
  readonly method: string;
  /** Raw path as it came, without the query. */
  readonly path: string;
  /** Raw query as it came, without `?`; empty where there is none. */
  readonly query: string;
  /** Address of the peer; not necessarily the client. */
  readonly remoteAddress: string;
  readonly encrypted: boolean;
  /** Cancelled when the peer goes away before the reply is finished. */
  readonly cancellation: Cancellation;
  /** What the client proved with its certificate; absent where the engine does not verify any. */
  certificate?(): ClientCertificate | undefined;
  /** The value of a request header by lower-case name, several lines joined by `, `; undefined where absent. */
  header(name: string): string | undefined;
  /**
   * The whole body, at most `limit` bytes; without a promise where it is known that there is none.
   * @throws BodyTooLargeError as soon as the limit is passed; the rest is not read
   * @throws MalformedBodyError where what comes is no body (broken chunking)
   * @throws BodyTimeoutError where the engine still has the connection when the time for the request is over
   */
  body(limit: number): Uint8Array | Promise<Uint8Array>;
  /** Sends the whole reply, once. For HEAD the body is counted, not sent. After the peer has gone this does nothing. */
  reply(status: number, headers: HeaderList, body: string | Uint8Array): void;
  /** True where the client asks for a WebSocket and the engine can pass it through. */
  readonly upgrade: boolean;
  /**
   * Hands the request over, which then answers it. Resolves with the status that was sent, 101 for an upgrade, when the
   * reply is out or the peer has gone.
   * @param replyHeaders for the reply beside its own
   */
  passOn(application: PassThrough, passed: Passed, replyHeaders: HeaderList): Promise<number>;
  /** Ends the connection: the exchange cannot be answered. */
  abandon(): void;
}

export const noBody = new Uint8Array(0);

export class BodyTooLargeError extends Error {
  override readonly name = "BodyTooLargeError";
}

export class BodyTimeoutError extends Error {
  override readonly name = "BodyTimeoutError";
}

export class MalformedBodyError extends Error {
  override readonly name = "MalformedBodyError";
}

/** A value that a header line may carry (RFC 9110 §5.5): no line ends, no other control characters, no wide ones. */
export function isHeaderValue(value: string): boolean {
  return headerValue.test(value);
}

const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
