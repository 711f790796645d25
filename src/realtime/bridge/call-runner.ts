import { responseFailure } from "../../codec/error.js";
import { jsonMembers } from "../../codec/json-members.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import { Code } from "../../status/code.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Span } from "../../telemetry/tracing/span.js";
import { attemptsOf } from "../../upstream/attempt-spans.js";
import { callFailure } from "../../upstream/call/call-failure.js";
import type { CallStatus, Metadata, StreamHandle } from "../../upstream/channel.js";
import type { FrameId } from "../chat/frames.js";
import { endFrame, errorFrame, eventFrame, replyFrame } from "../chat/frames.js";
import type { Session } from "./bridge.js";
import type { BoundPlan, CallPlan, CallRoute } from "./bridge-plan.js";
import { callUnary, failureOf, type PreparedCall, sessionMetadata, Task } from "./unary-call.js";

/** A call that is about to be made. */
export interface SocketCallRequest {
  /** The current plan; a reload may change it while the call waits. */
  bound(): BoundPlan;
  readonly route: CallRoute<CallPlan>;
  /** `package.Service/Method` */
  readonly method: string;
  readonly session: Session;
  readonly id: FrameId;
  readonly call: SocketCall;
  /** The frame as the client wrote it. */
  readonly text: string;
  /** Undefined where the trace is not recorded. */
  readonly span: Span | undefined;
}

/** Requests are encoded one after the other, so they can share one buffer. */
const writer = new Writer();

/**
 * Makes the call and sends all frames of its response. Never rejects.
 * @returns the gRPC code that it ended with
 */
export async function runCall(run: SocketCallRequest): Promise<number> {
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
  { route }: SocketCallRequest,
  { plan, details }: BoundPlan,
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
  { route: { plan }, session, call, text }: SocketCallRequest,
  bound: BoundPlan,
): Promise<Uint8Array> {
  const body = jsonMembers(text).get("body") ?? "{}";
  const request = await plan.input.encodeTextInTurns(Buffer.from(body), writer);
  await bound.check(session, plan.method, request);
  if (call.cancellation.cancelled) throw new GatewayError(cancelled(call));
  return request;
}

async function unary(run: SocketCallRequest, request: Uint8Array): Promise<Failure | undefined> {
  const { route, method, session, id, call } = run;
  const { plan, lane } = route;
  const prepare = (): PreparedCall | undefined => {
    const now = run.bound().call(method);
    if (now === undefined) return undefined;
    const { channel } = now.lane;
    return {
      channel,
      upstream: now.plan.upstream,
      path: plan.method.path,
      request,
      retryable: plan.retryable,
    };
  };
  const timeoutMs = plan.timeout as number;
  const { cancellation } = call;
  const unaryRequest = { session, timeoutMs, cancellation, prepare, span: run.span };
  const response = await callUnary(unaryRequest, [lane.semaphore]);
  if (response === undefined) return notCallable(method);
  if (response.message === undefined) {
    return response.origin === "cancelled" ? cancelled(call) : response.failure;
  }
  const body = await decoded(plan, response.message);
  if (body === undefined) return responseFailure();
  call.end(replyFrame(id, body));
  return undefined;
}

async function stream(run: SocketCallRequest, request: Uint8Array): Promise<Failure | undefined> {
  const { method, session, id, call } = run;
  const { plan } = run.route;
  const bound = run.bound();
  // The check may have taken its time.
  const now = bound.call(method);
  if (now === undefined) return notCallable(method);
  if (bound.streams.acquire(0) !== true) {
    return gatewayFailure("TOO_MANY_CALLS", "the gateway has as many streams open as its limit allows");
  }
  let malformed = false;
  const give = (body: string | undefined): void => {
    if (malformed) return;
    if (body !== undefined) call.send(eventFrame(id, body));
    else {
      malformed = true;
      call.cancellation.cancel();
    }
  };
  /** The last message that waits to be printed, behind those before it. */
  let printing: Promise<void> | undefined;
  const ending = await new Promise<{ status: CallStatus; trailers: Metadata }>(resolve => {
    const handle = now.lane.channel.stream({
      path: plan.method.path,
      metadata: sessionMetadata(session),
      timeout: plan.timeout,
      cancellation: call.cancellation,
      trace: attemptsOf(run.span, plan.method.path, now.plan.upstream),
      onMessage: message => {
        if (malformed) return;
        const body = decoded(plan, message);
        if (printing === undefined && !(body instanceof Promise)) {
          give(body);
          return;
        }
        const last = (printing ?? Promise.resolve()).then(() => body).then(give);
        printing = last;
        call.hold(true);
        void last.then(() => {
          if (printing !== last) return;
          printing = undefined;
          call.hold(false);
        });
      },
      onEnd: (status, trailers) => {
        if (printing === undefined) resolve({ status, trailers });
        else void printing.then(() => resolve({ status, trailers }));
      },
    });
    call.stream = handle;
    handle.send(request);
    handle.end();
  });
  bound.streams.release();
  if (malformed) return responseFailure();
  if (ending.status.code !== Code.OK) {
    return ending.status.origin === "cancelled" ? cancelled(call) : callFailure(ending);
  }
  call.end(endFrame(id));
  return undefined;
}

/** The response message as JSON; undefined where the bytes are no such message. A promise where it is large. */
function decoded(
  { output }: CallPlan,
  message: Uint8Array,
): string | undefined | Promise<string | undefined> {
  try {
    const text = output.decodeInTurns(message);
    return text instanceof Promise ? text.catch(() => undefined) : text;
  } catch {
    return undefined;
  }
}

function cancelled(call: SocketCall): Failure {
  return call.cancelled
    ? gatewayFailure("CALL_CANCELLED", "the call was cancelled")
    : gatewayFailure("SHUTTING_DOWN", "the gateway ended the call");
}

/** Bytes that a client may be behind before streams to it wait. */
const maxBufferedBytes = 64 * 1024;

/** One call of a socket, from its frame to the last frame of the response. */
export class SocketCall extends Task {
  /** Set while a stream is open. */
  stream: StreamHandle | undefined;
  /** True where the client itself ended it. */
  cancelled = false;
  readonly #session: Session;
  readonly #over: () => void;
  /** Frames that the socket did not take; a paused stream adds no more. */
  readonly #held: string[] = [];
  #paused = false;
  #printing = false;
  #ended = false;

  /** @param over called once, when the last frame is with the socket */
  constructor(
    readonly id: FrameId,
    session: Session,
    over: () => void,
  ) {
    super();
    this.#session = session;
    this.#over = over;
  }

  /** Sends a frame, now or when the client has caught up. */
  send(frame: string): void {
    if (this.#held.length > 0 || !this.#session.send(frame)) this.#held.push(frame);
    if (this.#held.length === 0 && this.#session.buffered <= maxBufferedBytes) return;
    this.#paused = true;
    this.stream?.pause();
  }

  /** Whether a message is being printed, so that the stream brings no more. */
  hold(printing: boolean): void {
    this.#printing = printing;
    if (printing) this.stream?.pause();
    else if (!this.#paused) this.stream?.resume();
  }

  /** Sends the last frame. */
  end(frame: string): void {
    this.#ended = true;
    this.stream = undefined;
    this.send(frame);
    if (this.#held.length === 0 || this.#session.closed) this.#over();
  }

  /** The client has caught up. */
  drained(): void {
    while (this.#held.length > 0 && this.#session.send(this.#held[0]!)) this.#held.shift();
    if (this.#held.length > 0) return;
    if (this.#ended) {
      this.#over();
    } else if (this.#paused && this.#session.buffered <= maxBufferedBytes) {
      this.#paused = false;
      if (!this.#printing) this.stream?.resume();
    }
  }
}

/** The calls under way of one socket. They are few. */
export class SessionCalls {
  readonly #calls: SocketCall[] = [];

  get size(): number {
    return this.#calls.length;
  }

  /** @param id that the client gave it */
  get(id: FrameId): SocketCall | undefined {
    return this.#calls.find(call => call.id === id);
  }

  open(session: Session, id: FrameId): SocketCall {
    const call = new SocketCall(id, session, () => {
      const at = this.#calls.indexOf(call);
      if (at >= 0) this.#calls.splice(at, 1);
    });
    this.#calls.push(call);
    return call;
  }

  /** All of them; they may end while one walks over them. */
  all(): readonly SocketCall[] {
    return [...this.#calls];
  }
}
