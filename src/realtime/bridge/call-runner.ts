import { responseFailure } from "../../codec/error.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import { Code } from "../../status/code.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import { callFailure } from "../../upstream/call/call-failure.js";
import type { CallStatus, Metadata } from "../../upstream/channel.js";
import type { Session } from "./bridge.js";
import type { FrameId } from "../chat/frames.js";
import { ask, failureOf, type Put, sessionMetadata } from "./asking.js";
import { endFrame, errorFrame, eventFrame, replyFrame } from "./frames.js";
import { jsonMembers } from "./json-members.js";
import type { CallPlan } from "./plan.js";
import type { SocketCall } from "./session-calls.js";
import type { Bound, Route } from "./target.js";

/** A call that is about to be made. */
export interface Run {
  /** What holds at the time; a reload may change it while the call waits. */
  bound(): Bound;
  readonly route: Route<CallPlan>;
  /** `package.Service/Method` */
  readonly method: string;
  readonly session: Session;
  readonly id: FrameId;
  readonly call: SocketCall;
  /** The frame as the client wrote it. */
  readonly text: string;
}

/** Requests are encoded one after the other, so they can share one buffer. */
const writer = new Writer();

/**
 * Makes the call and sends all frames that answer it. Never rejects.
 * @returns the gRPC code that it ended with
 */
export async function runCall(run: Run): Promise<number> {
  const { id, call } = run;
  const bound = run.bound();
  let failure: Failure | undefined;
  try {
    const request = await checkedRequest(run, bound);
    const { serverStreaming } = run.route.plan.method;
    failure = serverStreaming ? await stream(run, request) : await unary(run, request);
  } catch (error) {
    failure = failureOf(error);
  }
  if (failure === undefined) return Code.OK;
  call.end(errorFrame(id, failure, await renderDetails(run, bound, failure)));
  return failure.code;
}

function renderDetails(
  { route }: Run,
  { plan, details }: Bound,
  failure: Failure,
): readonly string[] | Promise<readonly string[]> {
  const renderer = failure.origin === "upstream" ? details.get(route.plan.upstream) : undefined;
  if (renderer !== undefined) return renderer.render(failure.details, "proto");
  return failure.details.map(({ typeUrl, value }) => plan.renderDetail(typeUrl, value));
}

export function notCallable(method: string): Failure {
  return gatewayFailure("METHOD_NOT_CALLABLE", `sockets cannot call ${JSON.stringify(method.slice(0, 128))}`);
}

/** @throws GatewayError, TranscodeError */
async function checkedRequest(
  { route: { plan }, session, call, text }: Run,
  bound: Bound,
): Promise<Uint8Array> {
  const body = jsonMembers(text).get("body") ?? "{}";
  writer.reset();
  plan.input.encodeText(Buffer.from(body), writer);
  const request = writer.finish();
  await bound.check(session, plan.method, request);
  if (call.cancellation.cancelled) throw new GatewayError(cancelled(call));
  return request;
}

async function unary(run: Run, request: Uint8Array): Promise<Failure | undefined> {
  const { route, method, session, id, call } = run;
  const { plan, way } = route;
  const put = (): Put | undefined => {
    const now = run.bound().call(method);
    return now && { channel: now.way.channel, path: plan.method.path, request, retryable: plan.retryable };
  };
  const question = { session, timeout: plan.timeout as number, cancellation: call.cancellation, put };
  const answer = await ask(question, [way.gate]);
  if (answer === undefined) return notCallable(method);
  if (answer.message === undefined) return answer.origin === "cancelled" ? cancelled(call) : answer.failure;
  const body = reply(plan, answer.message);
  if (body === undefined) return responseFailure();
  call.end(replyFrame(id, body));
  return undefined;
}

async function stream(run: Run, request: Uint8Array): Promise<Failure | undefined> {
  const { method, session, id, call } = run;
  const { plan } = run.route;
  const bound = run.bound();
  // The check may have taken its time.
  const now = bound.call(method);
  if (now === undefined) return notCallable(method);
  if (bound.streams.enter(0) !== true) {
    return gatewayFailure("TOO_MANY_CALLS", "the gateway carries as many streams as it may");
  }
  let malformed = false;
  const ending = await new Promise<{ status: CallStatus; trailers: Metadata }>(resolve => {
    const handle = now.way.channel.stream({
      path: plan.method.path,
      metadata: sessionMetadata(session),
      timeout: plan.timeout,
      cancellation: call.cancellation,
      onMessage: message => {
        if (malformed) return;
        const body = reply(plan, message);
        if (body !== undefined) {
          call.send(eventFrame(id, body));
        } else {
          malformed = true;
          call.cancellation.cancel();
        }
      },
      onEnd: (status, trailers) => resolve({ status, trailers }),
    });
    call.stream = handle;
    handle.send(request);
    handle.end();
  });
  bound.streams.leave();
  if (malformed) return responseFailure();
  if (ending.status.code !== Code.OK) {
    return ending.status.origin === "cancelled" ? cancelled(call) : callFailure({ ...ending, attempts: 1 });
  }
  call.end(endFrame(id));
  return undefined;
}

/** The JSON of a reply; undefined where the bytes are none. */
function reply({ output }: CallPlan, message: Uint8Array): string | undefined {
  try {
    return output.decode(message);
  } catch {
    return undefined;
  }
}

function cancelled(call: SocketCall): Failure {
  return call.cancelled
    ? gatewayFailure("CALL_CANCELLED", "the call was cancelled")
    : gatewayFailure("SHUTTING_DOWN", "the gateway ended the call");
}
