import type { DetailRenderer } from "../../bindings/snapshot.js";
import type { MethodType } from "../../descriptors/model.js";
import type { Channel } from "../../upstream/channel.js";
import type { EventKind, Session } from "./bridge.js";
import { Gate, type GateLimits } from "./semaphore.js";
import type { BridgePlan, CallPlan, EventPlan } from "./plan.js";

/**
 * Whether a session may call a method with these bytes: what authentication, policies and validation say of it.
 * @throws GatewayError (or rejects with it)
 */
export type CallCheck = (session: Session, method: MethodType, message: Uint8Array) => void | Promise<void>;

/** What one loading of the configuration gives the bridge. */
export interface BridgeTarget {
  readonly plan: BridgePlan;
  /** By the names of upstreams; closed by whoever made them, which waits for the calls that began on them. */
  readonly channels: ReadonlyMap<string, Channel>;
  readonly check: CallCheck;
  /** By the names of upstreams; those of others are rendered by the plan. */
  readonly details?: ReadonlyMap<string, DetailRenderer>;
}

/** One upstream, with what bounds the calls to it. */
export interface Way {
  readonly channel: Channel;
  readonly gate: Gate;
}

/** What is put to a backend, and how it gets there. */
export interface Route<P extends EventPlan | CallPlan> {
  readonly plan: P;
  readonly way: Way;
}

/** A target made ready for calls. */
export class Bound {
  readonly plan: BridgePlan;
  readonly check: CallCheck;
  readonly details: ReadonlyMap<string, DetailRenderer>;
  readonly streams: Gate;
  /** By the names of upstreams. */
  readonly ways = new Map<string, Way>();

  /** @param before of which what is under way or waits counts here, too */
  constructor({ plan, channels, check, details = new Map() }: BridgeTarget, before: Bound | undefined) {
    const { limits } = plan;
    this.plan = plan;
    this.check = check;
    this.details = details;
    this.streams = resized(before?.streams, { concurrency: limits.streams, queue: 0 });
    for (const [name, channel] of channels) {
      const gate = resized(before?.ways.get(name)?.gate, limits);
      this.ways.set(name, { channel, gate });
    }
  }

  /** Undefined where no backend wants to know. */
  event(kind: EventKind): Route<EventPlan> | undefined {
    return this.#route(this.plan.events[kind]);
  }

  /** @param method `package.Service/Method`. @returns undefined where sockets cannot call it */
  call(method: string): Route<CallPlan> | undefined {
    return this.#route(this.plan.calls.get(method));
  }

  #route<P extends EventPlan | CallPlan>(plan: P | undefined): Route<P> | undefined {
    // Loading has checked that the upstream exists.
    return plan && { plan, way: this.ways.get(plan.upstream) as Way };
  }
}

function resized(gate: Gate | undefined, limits: GateLimits): Gate {
  if (gate === undefined) return new Gate(limits);
  gate.resize(limits);
  return gate;
}
