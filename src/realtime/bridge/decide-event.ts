import { responseFailure } from "../../codec/error.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import type { Cancellation } from "../../net/cancellation.js";
import { Code } from "../../status/code.js";
import type { Failure } from "../../status/failure.js";
import type { Span } from "../../telemetry/tracing/span.js";
import { fromBackend } from "../../upstream/channel.js";
import type { EventFrames, EventKind, EventOutcome, Session } from "./bridge.js";
import type { CallRoute, EventPlan } from "./bridge-plan.js";
import type { Semaphore } from "./semaphore.js";
import { type BridgeReply, callUnary, failureOf, type PreparedCall } from "./unary-call.js";

/** An outcome and the gRPC code that it rests on. */
interface EventDecision<F> {
  readonly outcome: EventOutcome<F>;
  readonly code: number;
}

/** Requests are encoded one after the other, so they can share one buffer. */
const writer = new Writer();

/**
 * Has a backend decide on an event. Never rejects.
 * @param route resolved when its turn comes: a reload replaces the lane; it queues for the semaphore of the first
 */
export async function decideEvent<K extends EventKind>(
  route: () => CallRoute<EventPlan> | undefined,
  turns: Semaphore,
  session: Session,
  frame: EventFrames[K],
  cancellation: Cancellation,
  span: Span | undefined,
): Promise<EventDecision<EventFrames[K]>> {
  const allowed = { allow: true, frame } as const;
  const first = route();
  if (first === undefined) return { outcome: allowed, code: Code.OK };
  let { plan } = first;
  let response: BridgeReply | undefined;
  const prepare = (): PreparedCall | undefined => {
    const now = route();
    if (now === undefined) return undefined;
    plan = now.plan;
    writer.reset();
    plan.input.encode(plan.request(session, frame), writer);
    return {
      channel: now.lane.channel,
      upstream: plan.upstream,
      path: plan.method.path,
      request: writer.finish(),
      retryable: plan.method.idempotency !== "unknown",
    };
  };
  try {
    const request = { session, timeoutMs: plan.timeout, cancellation, prepare, span };
    response = await callUnary(request, [turns, first.lane.semaphore]);
  } catch (error) {
    return refused(failureOf(error));
  }
  if (response === undefined) return { outcome: allowed, code: Code.OK };
  if (response.message === undefined) {
    const { failure } = response;
    if (plan.onFailure === "refuse" || decided(response)) return refused(failure);
    return { outcome: allowed, code: failure.code };
  }
  try {
    const reply = plan.reply?.(frame, response.message);
    const rewritten = (reply instanceof Promise ? await reply : reply) ?? frame;
    return { outcome: { allow: true, frame: rewritten as EventFrames[K] }, code: Code.OK };
  } catch {
    return refused(responseFailure());
  }
}

/** Whether the backend itself refused; a status of UNAVAILABLE or a deadline means that it could not decide. */
function decided({ origin, failure }: BridgeReply & { readonly message: undefined }): boolean {
  return fromBackend(origin) && failure.code !== Code.UNAVAILABLE && failure.code !== Code.DEADLINE_EXCEEDED;
}

function refused<F>(failure: Failure): EventDecision<F> {
  return { outcome: { allow: false, failure }, code: failure.code };
}
