import type { Duplex } from "node:stream";
import type { ClientCertificate } from "../auth/caller.js";
import type { Cancellation } from "../net/cancellation.js";
import type { HeaderList } from "../net/headers.js";
import { type Failure, gatewayFailure } from "../status/failure.js";
import type { ClientSocket, ClientSocketListener } from "./client-socket.js";

/**
 * One HTTP request as the pipeline sees it, from any engine. Its body is read once, either whole (`body`) or
 * as a stream (`stream`); a body that is not read costs the connection, not memory.
 */
export interface InboundRequest {
  /** HTTP version: 2 on a connection that uses HTTP/2. */
  readonly version: 1 | 2;
  /** Upper case. */
  readonly method: string;
  /** Raw path as it came, without the query. */
  readonly path: string;
  /** Raw query as it came, without `?`; empty where there is none. */
  readonly query: string;
  /** Address of the peer; not necessarily the client. */
  readonly remoteAddress: string;
  readonly encrypted: boolean;
  /** Cancelled when the peer goes away before its response has ended. */
  readonly cancellation: Cancellation;
  /** Whether a body is announced (RFC 9112 §6.3): a length above 0, or chunks. */
  readonly hasBody: boolean;
  /** Set for a WebSocket upgrade on a connection that can become one. */
  readonly upgrade: UpgradeRequest | undefined;
  /** The verified certificate of the client; absent where the engine does not verify any. */
  certificate?(): ClientCertificate | undefined;
  /** The value of a header by lower-case name, several lines joined by `, `; undefined where absent. */
  header(name: string): string | undefined;
  /**
   * All headers by lower-case name, several lines of one name joined, one byte a character.
   * @throws GatewayError INVALID_HEADER for a value whose bytes the engine has lost
   */
  headers(): Readonly<Record<string, string>>;
  /**
   * The whole body, at most `limit` bytes; without a promise where it is known that there is none. Rejects with the
   * error of `BodyConsumer.fail`.
   */
  body(limit: number): Uint8Array | Promise<Uint8Array>;
  /**
   * The body in the pieces in which it comes, at most `limit` bytes.
   * @param slow it may take longer than the time for a request
   */
  stream(limit: number, slow?: "slow"): BodyReader;
}

/** A request body that is read piece by piece, as fast as its consumer takes it. */
export interface BodyReader {
  /** Once. Pieces may come before this returns. */
  start(consumer: BodyConsumer): void;
  /** No piece comes until `resume`; the end and a failure may. */
  pause(): void;
  resume(): void;
}

/** Takes a body; `end` or `fail` is the last call. */
export interface BodyConsumer {
  /** @param chunk belongs to the consumer */
  chunk(chunk: Buffer): void;
  end(): void;
  /**
   * BodyTooLargeError as soon as the limit is passed, the rest is not read; BodyOverrunError where more has come than
   * is kept for a consumer that takes nothing, since the engine cannot stop the client; MalformedBodyError where the
   * framing is malformed (broken chunking); BodyTimeoutError where the time for the request is over; another Error
   * where the client leaves.
   */
  fail(error: Error): void;
}

/** A request for a WebSocket whose connection is not read any further before it is one. */
export interface UpgradeRequest {
  /** Has `cancellation` report a client that leaves: reads, within bounds, the bytes that come before the response. */
  watch(): void;
  /**
   * Sends 101 with those headers. Only where `EngineOptions.upgrades` has returned `connection`.
   * @returns the connection, from the first byte after the request on
   */
  accept(headers: HeaderList): Duplex;
  /**
   * Sends 101 with those headers, beside those that the handshake requires, and opens the socket. The request must be
   * an opening handshake (RFC 6455 §4.2.1).
   * @param maxMessageBytes larger messages break the socket
   * @param opened called before anything else happens on the socket
   * @returns false where the client has left meanwhile
   */
  open(
    headers: HeaderList,
    maxMessageBytes: number,
    opened: (socket: ClientSocket) => ClientSocketListener,
  ): Promise<boolean>;
}

export const noBody = new Uint8Array(0);

/** The stream of a request without a body. */
export const emptyBody: BodyReader = {
  start: consumer => consumer.end(),
  pause: () => undefined,
  resume: () => undefined,
};

export class BodyTooLargeError extends Error {
  override readonly name = "BodyTooLargeError";
}

/** More of a body came than is kept while it has no reader. */
export class BodyOverrunError extends Error {
  override readonly name = "BodyOverrunError";
}

export class BodyTimeoutError extends Error {
  override readonly name = "BodyTimeoutError";
}

export class MalformedBodyError extends Error {
  override readonly name = "MalformedBodyError";
}

export function bodyCutShort(): Error {
  return new Error("the request ended before its body was complete");
}

/** Reads a body to its end. @param settled is called with the end or the failure */
export function collectBody(reader: BodyReader, settled?: () => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    reader.start({
      chunk: chunk => chunks.push(chunk),
      end: () => {
        settled?.();
        resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      },
      fail: error => {
        settled?.();
        reject(error);
      },
    });
  });
}

/** Why a body is incomplete, for the client. @param left the text for a client that has left */
export function bodyFailure(error: unknown, limit: number, left: string): Failure {
  if (error instanceof BodyTooLargeError)
    return gatewayFailure("BODY_TOO_LARGE", `the body is limited to ${limit} bytes`);
  if (error instanceof BodyOverrunError)
    return gatewayFailure(
      "BODY_TOO_LARGE",
      "the body came faster than the backend took it, and the engine uws cannot stop the client; send it slower, or use the engine fastify",
    );
  if (error instanceof BodyTimeoutError)
    return gatewayFailure("REQUEST_TIMEOUT", "the body did not arrive within the time for a request");
  if (error instanceof MalformedBodyError)
    return gatewayFailure("MALFORMED_REQUEST", error.message || "the body is not valid HTTP/1.1");
  return gatewayFailure("CLIENT_CLOSED", left);
}

/** Whether the fields of a head of HTTP/1.1 announce a body: a length above 0, however it is written, or chunks. */
export function announcesBody(
  contentLength: string | undefined,
  transferEncoding: string | undefined,
): boolean {
  return transferEncoding !== undefined || Number(contentLength ?? 0) !== 0;
}
