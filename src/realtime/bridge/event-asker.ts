import { responseFailure } from "../../codec/error.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import type { Cancellation } from "../../net/cancellation.js";
import { Code } from "../../status/code.js";
import type { Failure } from "../../status/failure.js";
import type { EventFrames, EventKind, Session, Verdict } from "./bridge.js";
import { type Answer, ask, failureOf, type Put } from "./asking.js";
import type { Gate } from "./semaphore.js";
import type { EventPlan } from "./plan.js";
import type { Route } from "./target.js";

/** A verdict and the gRPC code that it rests on. */
export interface Decision<F> {
  readonly verdict: Verdict<F>;
  readonly code: number;
}

/** Requests are encoded one after the other, so they can share one buffer. */
const writer = new Writer();

/**
 * Puts an event to its backend. Never rejects.
 * @param route where it goes by the configuration that holds when it is called; it waits in the line of the first
 */
export async function decide<K extends EventKind>(
  route: () => Route<EventPlan> | undefined,
  turns: Gate,
  session: Session,
  frame: EventFrames[K],
  cancellation: Cancellation,
): Promise<Decision<EventFrames[K]>> {
  const allowed = { allow: true, frame } as const;
  const first = route();
  if (first === undefined) return { verdict: allowed, code: Code.OK };
  let { plan } = first;
  let answer: Answer | undefined;
  const put = (): Put | undefined => {
    const now = route();
    if (now === undefined) return undefined;
    plan = now.plan;
    writer.reset();
    plan.input.encode(plan.request(session, frame), writer);
    return {
      channel: now.way.channel,
      path: plan.method.path,
      request: writer.finish(),
      retryable: plan.method.idempotency !== "unknown",
    };
  };
  try {
    const question = { session, timeout: plan.timeout, cancellation, put };
    answer = await ask(question, [turns, first.way.gate]);
  } catch (error) {
    return refused(failureOf(error));
  }
  if (answer === undefined) return { verdict: allowed, code: Code.OK };
  if (answer.message === undefined) {
    const { failure } = answer;
    if (plan.onFailure === "refuse" || decided(answer)) return refused(failure);
    return { verdict: allowed, code: failure.code };
  }
  try {
    const rewritten = plan.reply?.(frame, answer.message) ?? frame;
    return { verdict: { allow: true, frame: rewritten as EventFrames[K] }, code: Code.OK };
  } catch {
    return refused(responseFailure());
  }
}

/** Whether the backend itself said no; a status of UNAVAILABLE or a deadline says that it could not look. */
function decided({ origin, failure }: Answer & { readonly message: undefined }): boolean {
  return origin === "backend" && failure.code !== Code.UNAVAILABLE && failure.code !== Code.DEADLINE_EXCEEDED;
}

function refused<F>(failure: Failure): Decision<F> {
  return { verdict: { allow: false, failure }, code: failure.code };
}
