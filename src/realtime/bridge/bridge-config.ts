import type { EventKind } from "./bridge.js";
import type { Rewritten } from "./event-reply.js";

/** `realtime.events.<kind>` */
export interface EventConfig {
  readonly upstream: string;
  /** `package.Service/Method` */
  readonly method: string;
  /** Milliseconds; left out, the upstream's. */
  readonly timeout?: number | undefined;
  readonly on_failure: "refuse" | "allow";
  /** Members that a reply may rewrite; left out, `message` where replies have a text of that name. */
  readonly rewrite?: readonly Rewritten[] | undefined;
}

/** The part of `realtime` that speaks of backends. */
export interface BridgeConfig {
  readonly events: { readonly [K in EventKind]?: EventConfig | undefined };
  /** `package.Service/Method`, or `package.Service/*`. */
  readonly calls: readonly string[];
  readonly bridge: {
    readonly concurrency: number;
    readonly queue: number;
    readonly streams: number;
    readonly calls_per_connection: number;
  };
}
