import { Code } from "../../status/code.js";
import type { Backoff } from "../backoff.js";
import { type CallStatus, type Metadata, noMetadata, type UnaryCall, type UnaryResult } from "../channel.js";

import { protocolFailure, type StreamOutcome, type TransportStream } from "../transport.js";
import { type CallHost, OpenCall, tooLarge } from "./open-call.js";
import { pushback } from "./retry.js";

/** Makes one unary call; calls `onResult` exactly once. */
export function callUnary(host: CallHost, call: UnaryCall, onResult: (result: UnaryResult) => void): void {
  new OpenUnary(host, call, onResult).run();
}

class OpenUnary extends OpenCall {
  readonly #call: UnaryCall;
  readonly #onResult: (result: UnaryResult) => void;
  #headers: Metadata = noMetadata;
  #message: Uint8Array | undefined;
  #attempt = 1;
  #backoff: Backoff | undefined;

  constructor(host: CallHost, call: UnaryCall, onResult: (result: UnaryResult) => void) {
    super(host, call);
    this.#call = call;
    this.#onResult = onResult;
  }

  run(): void {
    const { request } = this.#call;
    const { maxMessageSize, retry } = this.host;
    if (request.length > maxMessageSize) {
      this.abort(tooLarge(request.length, maxMessageSize));
    } else {
      retry?.budget.countCall();
      this.begin();
    }
  }

  /** A message that is not compressed needs no `grpc-encoding` in the head: not every backend reads gzip. */
  protected override get compressFrom(): number | undefined {
    const { compressFrom } = this.host;
    return compressFrom !== undefined && this.#call.request.length >= compressFrom ? compressFrom : undefined;
  }

  onHeaders(headers: Metadata): void {
    this.#headers = headers;
  }

  onMessage(message: Uint8Array): void {
    if (this.#message === undefined) {
      this.#message = message;
      this.stream?.read();
    } else {
      this.abort(protocolFailure("the response of a unary call has more than one message").status);
    }
  }

  onWritten(): void {}

  protected startAttempt(stream: TransportStream): void {
    stream.send(this.#call.request);
    stream.end();
    stream.read();
  }

  protected restartable(): boolean {
    return true;
  }

  protected attemptEnded(outcome: StreamOutcome): void {
    const { status, trailers } = outcome;
    if (status.code === Code.OK && this.#message === undefined) {
      this.attemptEnded(protocolFailure("the response has no message"));
    } else if (!this.#retries(outcome)) {
      this.finish(status, trailers);
    }
  }

  #retries({ status, trailers }: StreamOutcome): boolean {
    const { retry, observer } = this.host;
    if (retry === undefined || !this.#call.retryable || !retry.allows(this.#attempt, status)) return false;
    const pushbackMs = pushback(trailers);
    if (pushbackMs === "never") return false;
    this.#backoff ??= retry.backoff();
    const pause = pushbackMs ?? this.#backoff.next();
    if (pause >= this.remaining || !retry.budget.takeRetry()) return false;
    observer?.retried(this.#call.path, status.code);
    this.#attempt++;
    this.#headers = noMetadata;
    this.#message = undefined;
    this.restartAfter(pause);
    return true;
  }

  protected deliver(status: CallStatus, trailers: Metadata, seconds: number): void {
    this.#onResult({
      status,
      message: status.code === Code.OK ? this.#message : undefined,
      headers: this.#headers,
      trailers,
      attempts: this.attempts,
      seconds,
    });
  }
}
