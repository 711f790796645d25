import type { MethodType } from "../../descriptors/model.js";
import type { Channel } from "../../upstream/channel.js";
import type { Session } from "../bridge.js";
import { Gate } from "./gate.js";
import type { BridgePlan } from "./plan.js";

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
}

/** One upstream, with what bounds the calls to it. */
export interface Way {
  readonly channel: Channel;
  readonly gate: Gate;
}

/** A target made ready for calls. */
export interface Bound {
  readonly plan: BridgePlan;
  readonly check: CallCheck;
  readonly ways: ReadonlyMap<string, Way>;
  readonly streams: Gate;
}

export function bind({ plan, channels, check }: BridgeTarget): Bound {
  const ways = new Map<string, Way>();
  for (const [name, channel] of channels) ways.set(name, { channel, gate: new Gate(plan.limits) });
  return { plan, check, ways, streams: new Gate({ concurrency: plan.limits.streams, queue: 0 }) };
}
