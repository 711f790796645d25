import { type Failure, gatewayFailure } from "../status/failure.js";
import { BodyTimeoutError, BodyTooLargeError, MalformedBodyError } from "./exchange.js";

/** The body of a request while it comes in. What has arrived before it is asked for is kept. */
export class IncomingBody {
  complete = false;
  taken = false;
  readonly #length: number | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #limit = Number.POSITIVE_INFINITY;
  #sink: ((chunk: Buffer, last: boolean) => void) | undefined;
  #error: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resolve: (body: Uint8Array) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(length: number | undefined) {
    this.#length = length;
  }

  take(limit: number, timeout: number): Promise<Uint8Array> {
    this.taken = true;
    this.#limit = limit;
    if ((this.#length ?? 0) > limit) this.fail(new BodyTooLargeError());
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#settle();
      if (!this.complete && this.#error === undefined)
        this.#timer = setTimeout(() => this.fail(new BodyTimeoutError()), timeout);
    });
  }

  /** Hands on what has arrived and what comes, instead of collecting it. */
  stream(sink: (chunk: Buffer, last: boolean) => void): void {
    this.taken = true;
    const arrived = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#sink = sink;
    if (arrived.length > 0 || this.complete) sink(arrived, this.complete);
  }

  /** @param chunk valid during the call only */
  add(chunk: ArrayBuffer, last: boolean): void {
    if (this.#error !== undefined) return;
    if (this.#sink !== undefined) {
      this.complete = last;
      this.#sink(Buffer.copyBytesFrom(new Uint8Array(chunk)), last);
      return;
    }
    this.#size += chunk.byteLength;
    if (chunk.byteLength > 0 && this.#size <= this.#limit) {
      this.#chunks.push(Buffer.copyBytesFrom(new Uint8Array(chunk)));
    }
    this.complete = last;
    this.#settle();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#chunks = [];
    this.#settle();
  }

  #settle(): void {
    if (!this.taken) return;
    if (this.#error === undefined && this.#size > this.#limit) this.#error = new BodyTooLargeError();
    if (this.#error === undefined && !this.complete) return;
    clearTimeout(this.#timer);
    if (this.#error !== undefined) this.#reject(this.#error);
    else
      this.#resolve(
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks, this.#size),
      );
    this.#chunks = [];
  }
}

/** Why a body has not come to its end. @param left what is said where its client has left */
export function bodyFailure(error: unknown, left: string): Failure {
  if (error instanceof BodyTimeoutError)
    return gatewayFailure("REQUEST_TIMEOUT", "the body did not arrive within the time for a request");
  if (error instanceof MalformedBodyError)
    return gatewayFailure("MALFORMED_REQUEST", "the body is not valid HTTP/1.1");
  return gatewayFailure("CLIENT_CLOSED", left);
}
