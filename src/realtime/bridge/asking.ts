import { requestFailure, TranscodeError } from "../../codec/error.js";
import type { Cancellation } from "../../net/cancellation.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import { callFailure } from "../../upstream/call/call-failure.js";
import type { Channel, FailureOrigin, Metadata } from "../../upstream/channel.js";
import type { Session } from "./bridge.js";
import type { Gate } from "./semaphore.js";

/** One unary call on behalf of a session. */
export interface Question {
  readonly session: Session;
  /** Milliseconds, waiting in line included. */
  readonly timeout: number;
  readonly cancellation: Cancellation;
  /**
   * What is sent, and where to: asked for when its turn has come, since a reload closes the channel of before.
   * @returns undefined where a reload has left nobody to ask
   */
  put(): Put | undefined;
}

export interface Put {
  readonly channel: Channel;
  readonly path: string;
  readonly request: Uint8Array;
  readonly retryable: boolean;
}

export type Answer =
  | { readonly message: Uint8Array }
  | {
      readonly message: undefined;
      readonly failure: Failure;
      /** Why there is no answer of the backend; `line` where it was not even asked. */
      readonly origin: FailureOrigin | "line";
    };

/**
 * Passes the gates in order, calls, and gives the places back. Rejects with what `put` throws, and nothing else.
 * @returns undefined where there was nobody to ask
 */
export async function ask(question: Question, gates: readonly Gate[]): Promise<Answer | undefined> {
  const started = performance.now();
  const left = (): number => question.timeout - (performance.now() - started);
  const { cancellation } = question;
  let entered = 0;
  try {
    for (const gate of gates) {
      const place = gate.enter(Math.max(1, left()), cancellation);
      if (!(place === true || (await place))) return cancellation.cancelled ? givenUp() : busy();
      entered++;
    }
    const put = question.put();
    if (put === undefined) return undefined;
    const { channel, path, request, retryable } = put;
    const result = await channel.unary({
      path,
      request,
      metadata: sessionMetadata(question.session),
      timeout: left(),
      retryable,
      cancellation,
    });
    if (result.message !== undefined) return { message: result.message };
    return { message: undefined, failure: callFailure(result), origin: result.status.origin ?? "backend" };
  } finally {
    while (entered > 0) gates[--entered]?.leave();
  }
}

function busy(): Answer {
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

/** Whoever asked does not want to know any more. */
function givenUp(): Answer {
  const failure = gatewayFailure("CALL_CANCELLED", "the call was cancelled");
  return { message: undefined, failure, origin: "cancelled" };
}

/** What a backend is told of a socket beside the message. */
export function sessionMetadata({ requestId, clientAddress, identity }: Session): Metadata {
  const own: Metadata = [
    ["x-request-id", requestId],
    ["x-forwarded-for", clientAddress],
  ];
  return identity === undefined ? own : [...own, ...identity.metadata];
}

/** The failure that something thrown on the way to a backend stands for. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GatewayError) return error.failure;
  if (error instanceof TranscodeError) return requestFailure(error);
  return gatewayFailure("INTERNAL", "the gateway failed");
}
