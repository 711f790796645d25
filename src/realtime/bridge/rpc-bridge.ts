import { gatewayFailure } from "../../status/failure.js";
import type { Reason } from "../../status/reasons.js";
import { Cancellation } from "../../upstream/channel.js";
import type { Bridge, EventFrames, EventKind, Session, Verdict } from "../bridge.js";
import type { CallFrame, FrameId } from "../frame.js";
import type { BridgeMetrics } from "./bridge-metrics.js";
import { runCall } from "./call-runner.js";
import { decide } from "./event-asker.js";
import { errorFrame } from "./frames.js";
import { Gate } from "./gate.js";
import type { EventPlan } from "./plan.js";
import { SessionCalls } from "./session-calls.js";
import { type Bound, type BridgeTarget, bind, type Way } from "./target.js";

/** A bridge that lives as long as the sockets do; what it asks, and whom, is replaced by each reload. */
export interface RpcBridge extends Bridge {
  /** Events and calls that begin from now on go there; those under way end where they began. */
  use(target: BridgeTarget): void;
}

/** Before the first `use` every event is allowed and no call is taken. */
export function createBridge(metrics: BridgeMetrics): RpcBridge {
  return new SocketBridge(metrics);
}

/** How many events of one socket backends are asked about at once; others of the socket wait behind them. */
const turnsOfSession = { concurrency: 8, queue: 4096 };

class SocketBridge implements RpcBridge {
  readonly #metrics: BridgeMetrics;
  readonly #calls = new Map<string, SessionCalls>();
  readonly #turns = new Map<string, Gate>();
  readonly #events = new Set<Cancellation>();
  readonly #underWay = new Set<Promise<unknown>>();
  #bound: Bound | undefined;
  #closed = false;

  constructor(metrics: BridgeMetrics) {
    this.#metrics = metrics;
  }

  use(target: BridgeTarget): void {
    this.#bound = bind(target);
  }

  event<K extends EventKind>(
    kind: K,
    session: Session,
    frame: EventFrames[K],
  ): Verdict<EventFrames[K]> | Promise<Verdict<EventFrames[K]>> {
    const plan = this.#bound?.plan.events[kind];
    if (this.#bound === undefined || plan === undefined) return { allow: true, frame };
    if (this.#closed) return { allow: false, failure: closing() };
    // Loading has checked that the upstream exists.
    const way = this.#bound.ways.get(plan.upstream) as Way;
    return this.#watched(this.#decide(kind, plan, way, session, frame));
  }

  async #decide<K extends EventKind>(
    kind: K,
    plan: EventPlan,
    way: Way,
    session: Session,
    frame: EventFrames[K],
  ): Promise<Verdict<EventFrames[K]>> {
    const started = performance.now();
    this.#metrics.started();
    let turns = this.#turns.get(session.id);
    if (turns === undefined) {
      turns = new Gate(turnsOfSession);
      this.#turns.set(session.id, turns);
    }
    const cancellation = new Cancellation();
    this.#events.add(cancellation);
    const { verdict, code } = await decide(plan, way, turns, session, frame, cancellation);
    this.#events.delete(cancellation);
    if (turns.running === 0) this.#turns.delete(session.id);
    this.#metrics.ended(kind, code, (performance.now() - started) / 1000);
    return verdict;
  }

  call(session: Session, frame: CallFrame, text: string): void {
    const { id } = frame;
    const bound = this.#bound;
    if (bound === undefined || this.#closed) {
      session.send(errorFrame(id, closing(), []));
      return;
    }
    const calls = this.#calls.get(session.id) ?? new SessionCalls();
    const { perConnection } = bound.plan.limits;
    const plan = bound.plan.calls.get(frame.method);
    if (calls.get(id) !== undefined) {
      refuse(session, id, "CALL_ID_IN_USE", `a call with the id ${JSON.stringify(id)} is under way`);
    } else if (calls.size >= perConnection) {
      refuse(session, id, "TOO_MANY_CALLS", `a socket may have ${perConnection} calls under way`);
    } else if (plan === undefined) {
      const name = JSON.stringify(frame.method.slice(0, 128));
      refuse(session, id, "METHOD_NOT_CALLABLE", `sockets cannot call ${name}`);
    } else {
      this.#calls.set(session.id, calls);
      const call = calls.open(session, id, () => this.#calls.delete(session.id));
      const started = performance.now();
      this.#metrics.started();
      const run = runCall({ bound, plan, session, id, call, text }).then(code => {
        const use = plan.method.serverStreaming ? "stream" : "call";
        this.#metrics.ended(use, code, (performance.now() - started) / 1000);
      });
      void this.#watched(run);
    }
  }

  /** Lets `close` wait for what does not reject. */
  #watched<T>(promise: Promise<T>): Promise<T> {
    this.#underWay.add(promise);
    void promise.then(() => this.#underWay.delete(promise));
    return promise;
  }

  cancel(session: Session, id: FrameId): void {
    const call = this.#calls.get(session.id)?.get(id);
    if (call === undefined) return;
    call.cancelled = true;
    call.cancellation.cancel();
  }

  drained(session: Session): void {
    for (const call of this.#calls.get(session.id)?.all() ?? []) call.drained();
  }

  sessionClosed(session: Session): void {
    const calls = this.#calls.get(session.id)?.all() ?? [];
    this.#calls.delete(session.id);
    for (const call of calls) call.cancellation.cancel();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const calls of [...this.#calls.values()]) {
      for (const call of calls.all()) call.cancellation.cancel();
    }
    for (const cancellation of [...this.#events]) cancellation.cancel();
    await Promise.all(this.#underWay);
  }
}

function refuse(session: Session, id: FrameId, reason: Reason, message: string): void {
  session.send(errorFrame(id, gatewayFailure(reason, message), []));
}

function closing() {
  return gatewayFailure("SHUTTING_DOWN", "the gateway is shutting down");
}
