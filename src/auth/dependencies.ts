import type { Model } from "../descriptors/model.js";
import type { Channel } from "../upstream/channel.js";
import type { AuthMetrics } from "./auth-metrics.js";

/** What providers tell people. Never a credential, and never to the client. */
export interface AuthEvent {
  /** `debug`: a credential was refused, and why; `warn`: something that an operator should see. */
  readonly level: "debug" | "info" | "warn";
  readonly provider: string;
  readonly message: string;
}

/** What providers need of the gateway. */
export interface AuthDependencies {
  /** Of the snapshot that the providers are for. */
  readonly model: Model;
  /** Names of request headers that some service passes to its backend, and where it says so. */
  readonly passedHeaders: ReadonlyMap<string, string>;
  /** The channel of a configured upstream. */
  channel(upstream: string): Channel;
  /** One for the process; outlives reloads. */
  readonly metrics: AuthMetrics;
  log(event: AuthEvent): void;
  /** Milliseconds since 1970; default `Date.now`. */
  now?(): number;
}
