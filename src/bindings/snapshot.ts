import type { Router } from "../httprule/router.js";
import type { RouteMetrics } from "../telemetry/metrics.js";
import type { Channel } from "../upstream/channel.js";
import type { Route } from "./route.js";

/** A route made ready to answer: its upstream and its metrics bound. */
export interface Binding {
  readonly route: Route;
  readonly channel: Channel;
  readonly metrics: RouteMetrics;
}

/** Everything that one loading of the configuration came to. A request keeps the snapshot that it began with. */
export interface Snapshot {
  readonly router: Router<Binding>;
  readonly bindings: readonly Binding[];
  readonly limits: RequestLimits;
  /** How many proxies in front may be believed. */
  readonly trustedHops: number;
  /** The JSON text of one error detail; never throws. */
  renderDetail(typeUrl: string, value: Uint8Array): string;
  /** A request begins; the snapshot is kept until it is released. */
  acquire(): void;
  release(): void;
}

export interface RequestLimits {
  /** Bytes of a request body. */
  readonly body: number;
}
