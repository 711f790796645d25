import { Ring } from "../../net/ring.js";
import { Code, codeName } from "../../status/code.js";
import { gatewayFailure } from "../../status/failure.js";
import type { Reason } from "../../status/reasons.js";
import { type Span, SpanKind } from "../../telemetry/tracing/span.js";
import type { Tracer } from "../../telemetry/tracing/tracer.js";
import { type CallFrame, errorFrame, type FrameId } from "../chat/frames.js";
import { beginSpan, type ParentSpan } from "../rooms/room-traces.js";
import type { Bridge, EventFrames, EventKind, EventOutcome, Session } from "./bridge.js";
import type { BridgeMetrics } from "./bridge-metrics.js";
import { BoundPlan, type BridgeTarget } from "./bridge-plan.js";
import {
  notCallable,
  runCall,
  SessionCalls,
  type SocketCall,
  type SocketCallRequest,
} from "./call-runner.js";
import { decideEvent } from "./decide-event.js";
import { Semaphore } from "./semaphore.js";
import { Task } from "./unary-call.js";

/** A bridge that lives as long as the sockets do; each reload replaces its plan and channels. */
export interface RpcBridge extends Bridge {
  /** New events and calls go there, those that wait in line as well; calls under way end where they are. */
  use(target: BridgeTarget): void;
}

/** Before the first `use` every event is allowed and no call is taken. */
export function createBridge(metrics: BridgeMetrics, tracer?: Tracer): RpcBridge {
  return new SocketBridge(metrics, tracer);
}

/** How many events of one socket are decided at once; others of the socket wait behind them. */
const sessionLimits = { concurrency: 8, queue: 4096 };

/** The calls and events of one socket under way. */
interface Work {
  turns: Semaphore | undefined;
  calls: SessionCalls | undefined;
}

class SocketBridge implements RpcBridge {
  readonly #metrics: BridgeMetrics;
  readonly #tracer: Tracer | undefined;
  readonly #work = new WeakMap<Session, Work>();
  /** Of all sockets. */
  readonly #underWay = new Ring<Task>();
  #bound: BoundPlan | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(metrics: BridgeMetrics, tracer: Tracer | undefined) {
    this.#metrics = metrics;
    this.#tracer = tracer;
  }

  use(target: BridgeTarget): void {
    this.#bound = new BoundPlan(target, this.#bound);
  }

  event<K extends EventKind>(
    kind: K,
    session: Session,
    frame: EventFrames[K],
    parent?: ParentSpan,
  ): EventOutcome<EventFrames[K]> | Promise<EventOutcome<EventFrames[K]>> {
    if (this.#bound?.plan.events[kind] === undefined) return { allow: true, frame };
    if (this.#closed) return { allow: false, failure: closing() };
    return this.#decide(kind, session, frame, parent);
  }

  async #decide<K extends EventKind>(
    kind: K,
    session: Session,
    frame: EventFrames[K],
    parent: ParentSpan,
  ): Promise<EventOutcome<EventFrames[K]>> {
    const span = beginSpan(this.#tracer, parent, `event ${kind}`, SpanKind.Internal);
    const started = performance.now();
    const task = new Task();
    this.#begin(task);
    const work = this.#workOf(session);
    work.turns ??= new Semaphore(sessionLimits);
    const { turns } = work;
    const route = () => this.#bound?.event(kind);
    const { outcome, code } = await decideEvent(route, turns, session, frame, task.cancellation, span);
    if (turns.running === 0) work.turns = undefined;
    this.#metrics.ended(kind, code, (performance.now() - started) / 1000);
    if (span !== undefined) endBridgeSpan(span, session, code);
    this.#end(task);
    return outcome;
  }

  call(session: Session, frame: CallFrame, text: string): void {
    const { id, method } = frame;
    const bound = this.#bound;
    if (bound === undefined || this.#closed) {
      session.send(errorFrame(id, closing(), []));
      return;
    }
    const work = this.#workOf(session);
    work.calls ??= new SessionCalls();
    const { calls } = work;
    const { perConnection } = bound.plan.limits;
    const route = bound.call(method);
    if (calls.get(id) !== undefined) {
      refuse(session, id, "CALL_ID_IN_USE", `a call with the id ${JSON.stringify(id)} is under way`);
    } else if (calls.size >= perConnection) {
      refuse(session, id, "TOO_MANY_CALLS", `a socket may have ${perConnection} calls under way`);
    } else if (route === undefined) {
      session.send(errorFrame(id, notCallable(method), []));
    } else {
      void this.#run({
        bound: () => this.#bound as BoundPlan,
        route,
        method,
        session,
        id,
        call: calls.open(session, id),
        text,
        span: this.#tracer?.root(`call ${method}`, SpanKind.Server),
      });
    }
  }

  async #run(run: SocketCallRequest): Promise<void> {
    const started = performance.now();
    this.#begin(run.call);
    const code = await runCall(run);
    const use = run.route.plan.method.serverStreaming ? "stream" : "call";
    this.#metrics.ended(use, code, (performance.now() - started) / 1000);
    if (run.span !== undefined) endBridgeSpan(run.span, run.session, code);
    this.#end(run.call);
  }

  #workOf(session: Session): Work {
    let work = this.#work.get(session);
    if (work === undefined) {
      work = { turns: undefined, calls: undefined };
      this.#work.set(session, work);
    }
    return work;
  }

  #begin(task: Task): void {
    this.#metrics.started();
    this.#underWay.add(task);
  }

  #end(task: Task): void {
    this.#underWay.remove(task);
    if (this.#underWay.size === 0) this.#idle?.();
  }

  #callsOf(session: Session): readonly SocketCall[] {
    return this.#work.get(session)?.calls?.all() ?? [];
  }

  cancel(session: Session, id: FrameId): void {
    const call = this.#work.get(session)?.calls?.get(id);
    if (call === undefined) return;
    call.cancelled = true;
    call.cancellation.cancel();
  }

  drained(session: Session): void {
    for (const call of this.#callsOf(session)) call.drained();
  }

  sessionClosed(session: Session): void {
    for (const call of this.#callsOf(session)) call.cancellation.cancel();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#underWay.all()) task.cancellation.cancel();
    if (this.#underWay.size === 0) return;
    await new Promise<void>(resolve => {
      this.#idle = resolve;
    });
  }
}

/** @param code of gRPC */
function endBridgeSpan(span: Span, { requestId }: Session, code: number): void {
  span.set("protogate.request_id", requestId);
  span.set("protogate.grpc_code", code);
  if (faults.has(code)) span.fail(codeName(code));
  span.end();
}

/** Codes by which the gateway or a backend is at fault, not the client. */
const faults: ReadonlySet<number> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

function refuse(session: Session, id: FrameId, reason: Reason, message: string): void {
  session.send(errorFrame(id, gatewayFailure(reason, message), []));
}

function closing() {
  return gatewayFailure("SHUTTING_DOWN", "the gateway is shutting down");
}
