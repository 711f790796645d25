import type { DetailRenderer } from "../../bindings/binding.js";
import type { Codec } from "../../codec/codec.js";
import type { MethodType } from "../../descriptors/model.js";
import type { Channel } from "../../upstream/channel.js";
import type { EventKind, Session } from "./bridge.js";
import type { EventReply, EventRequest } from "./event-messages.js";
import { Semaphore, type SemaphoreLimits } from "./semaphore.js";

/**
 * Whether a session may call a method with these bytes, by authentication, policies and validation.
 * @throws GatewayError (or rejects with it)
 */
export type CallCheck = (session: Session, method: MethodType, message: Uint8Array) => void | Promise<void>;

/** The parts of one loaded configuration that the bridge uses. */
export interface BridgeTarget {
  readonly plan: BridgePlan;
  /** By the names of upstreams; closed by their owner, which waits for the calls that began on them. */
  readonly channels: ReadonlyMap<string, Channel>;
  readonly check: CallCheck;
  /** By the names of upstreams; those of others are rendered by the plan. */
  readonly details?: ReadonlyMap<string, DetailRenderer>;
}

/** One upstream, with the bounds of the calls to it. */
export interface UpstreamLane {
  readonly channel: Channel;
  readonly semaphore: Semaphore;
}

/** A method of a backend, with its channel. */
export interface CallRoute<P extends EventPlan | CallPlan> {
  readonly plan: P;
  readonly lane: UpstreamLane;
}

/** A target made ready for calls. */
export class BoundPlan {
  readonly plan: BridgePlan;
  readonly check: CallCheck;
  readonly details: ReadonlyMap<string, DetailRenderer>;
  readonly streams: Semaphore;
  /** By the names of upstreams. */
  readonly lanes = new Map<string, UpstreamLane>();

  /** @param before the previous plan, whose calls under way or waiting count here, too */
  constructor({ plan, channels, check, details = new Map() }: BridgeTarget, before: BoundPlan | undefined) {
    const { limits } = plan;
    this.plan = plan;
    this.check = check;
    this.details = details;
    this.streams = resized(before?.streams, { concurrency: limits.streams, queue: 0 });
    for (const [name, channel] of channels) {
      const semaphore = resized(before?.lanes.get(name)?.semaphore, limits);
      this.lanes.set(name, { channel, semaphore });
    }
  }

  /** Undefined where no backend is notified. */
  event(kind: EventKind): CallRoute<EventPlan> | undefined {
    return this.#route(this.plan.events[kind]);
  }

  /** @param method `package.Service/Method`. @returns undefined where sockets cannot call it */
  call(method: string): CallRoute<CallPlan> | undefined {
    return this.#route(this.plan.calls.get(method));
  }

  #route<P extends EventPlan | CallPlan>(plan: P | undefined): CallRoute<P> | undefined {
    // Loading has checked that the upstream exists.
    return plan && { plan, lane: this.lanes.get(plan.upstream) as UpstreamLane };
  }
}

function resized(semaphore: Semaphore | undefined, limits: SemaphoreLimits): Semaphore {
  if (semaphore === undefined) return new Semaphore(limits);
  semaphore.resize(limits);
  return semaphore;
}

/** How one kind of event is put to a backend. */
export interface EventPlan {
  readonly upstream: string;
  readonly method: MethodType;
  /** Milliseconds, waiting in line included. */
  readonly timeout: number;
  /** The outcome of an event when the call to the backend fails. */
  readonly onFailure: "refuse" | "allow";
  readonly request: EventRequest;
  readonly input: Codec;
  /** Undefined where replies only allow. */
  readonly reply: EventReply | undefined;
}

/** One method that sockets may call. */
export interface CallPlan {
  readonly upstream: string;
  readonly method: MethodType;
  /** Milliseconds; undefined: no deadline, for streams without a configured one. */
  readonly timeout: number | undefined;
  readonly input: Codec;
  readonly output: Codec;
  readonly retryable: boolean;
}

/** The limits of concurrent calls. */
interface BridgeLimits {
  /** Unary calls and events, for each upstream. */
  readonly concurrency: number;
  /** Unary calls and events that wait for their turn, for each upstream. */
  readonly queue: number;
  /** Calls of one socket, streams included. */
  readonly perConnection: number;
  /** Streams of all sockets. */
  readonly streams: number;
}

/** Everything that a configuration and its descriptors define about calls from sockets to backends. */
export interface BridgePlan {
  readonly events: Readonly<Partial<Record<EventKind, EventPlan>>>;
  /** By `package.Service/Method`. */
  readonly calls: ReadonlyMap<string, CallPlan>;
  readonly limits: BridgeLimits;
  /** The JSON text of an error detail; never throws. */
  renderDetail(typeUrl: string, value: Uint8Array): string;
}
