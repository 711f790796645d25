import { requestFailure, TranscodeError } from "../../codec/error.js";
import { Cancellation } from "../../net/cancellation.js";
import { Linked } from "../../net/ring.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Span } from "../../telemetry/tracing/span.js";
import { attemptsOf } from "../../upstream/attempt-spans.js";
import { callFailure } from "../../upstream/call/call-failure.js";
import type { Channel, FailureOrigin, Metadata } from "../../upstream/channel.js";
import type { Session } from "./bridge.js";
import type { Semaphore } from "./semaphore.js";

/** One unary call on behalf of a session. */
export interface UnaryRequest {
  readonly session: Session;
  /** Includes the time in the queue. */
  readonly timeoutMs: number;
  readonly cancellation: Cancellation;
  /** That its attempts are part of; undefined where the trace is not recorded. */
  readonly span: Span | undefined;
  /**
   * Resolved lazily: a reload replaces the channel.
   * @returns undefined where a reload has removed the upstream
   */
  prepare(): PreparedCall | undefined;
}

export interface PreparedCall {
  readonly channel: Channel;
  /** Its name. */
  readonly upstream: string;
  readonly path: string;
  readonly request: Uint8Array;
  readonly retryable: boolean;
}

export type BridgeReply =
  | { readonly message: Uint8Array }
  | {
      readonly message: undefined;
      readonly failure: Failure;
      /** The source of the failure; `line` where the call was never sent. */
      readonly origin: FailureOrigin | "line";
    };

/**
 * Acquires a permit of each semaphore in order, calls, and releases them. Rejects with what `prepare` throws, and
 * nothing else.
 * @returns undefined where `prepare` returned undefined
 */
export async function callUnary(
  unaryRequest: UnaryRequest,
  semaphores: readonly Semaphore[],
): Promise<BridgeReply | undefined> {
  const started = performance.now();
  const left = (): number => unaryRequest.timeoutMs - (performance.now() - started);
  const { cancellation } = unaryRequest;
  let acquired = 0;
  try {
    for (const semaphore of semaphores) {
      const permit = semaphore.acquire(Math.max(1, left()), cancellation);
      if (!(permit === true || (await permit))) return cancellation.cancelled ? givenUp() : busy();
      acquired++;
    }
    const prepared = unaryRequest.prepare();
    if (prepared === undefined) return undefined;
    const { channel, upstream, path, request, retryable } = prepared;
    const result = await channel.unary({
      path,
      request,
      metadata: sessionMetadata(unaryRequest.session),
      timeout: left(),
      retryable,
      cancellation,
      trace: attemptsOf(unaryRequest.span, path, upstream),
    });
    if (result.message !== undefined) return { message: result.message };
    return { message: undefined, failure: callFailure(result), origin: result.status.origin ?? "backend" };
  } finally {
    while (acquired > 0) semaphores[--acquired]?.release();
  }
}

function busy(): BridgeReply {
  const failure = gatewayFailure(
    "TOO_MANY_CALLS",
    "too many calls wait for the backend; try again later",
    [],
    {
      retryAfter: 1,
    },
  );
  return { message: undefined, failure, origin: "line" };
}

function givenUp(): BridgeReply {
  const failure = gatewayFailure("CALL_CANCELLED", "the call was cancelled");
  return { message: undefined, failure, origin: "cancelled" };
}

/** The metadata of every call for a socket. */
export function sessionMetadata({ requestId, clientAddress, identity }: Session): Metadata {
  const own: Metadata = [
    ["x-request-id", requestId],
    ["x-forwarded-for", clientAddress],
  ];
  return identity === undefined ? own : [...own, ...identity.metadata];
}

/** The failure for an error that was thrown while a backend was called. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GatewayError) return error.failure;
  if (error instanceof TranscodeError) return requestFailure(error);
  return gatewayFailure("INTERNAL", "internal error; see the gateway log");
}

/** Something under way at a backend for a socket. */
export class Task extends Linked {
  readonly cancellation = new Cancellation();
}
