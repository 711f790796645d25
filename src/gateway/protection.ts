import { type Authenticators, createAuthenticators } from "../auth/authenticators.js";
import { createLimits, type Limits } from "../limits/limits.js";
import type { Channel } from "../upstream/channel.js";
import type { Compiled } from "./compile.js";
import type { Runtime } from "./runtime.js";

/** What guards are made of. */
export interface Protection {
  readonly authenticators: Authenticators;
  readonly limits: Limits;
  /** Stops refreshes and watchers, and gives connections back. */
  close(): void;
}

/** @param previous what it takes the place of; limits that are defined in the same way go on with their counts */
export function createProtection(
  { loaded, model }: Compiled,
  channels: ReadonlyMap<string, Channel>,
  { auth, limits: metrics, log }: Runtime,
  previous: Protection | undefined,
): Protection {
  const authenticators = createAuthenticators(loaded.config, {
    model,
    // Loading has checked that the upstream exists.
    channel: name => channels.get(name) as Channel,
    metrics: auth,
    log: ({ level, provider, message }) => log[level]({ provider }, message),
  });
  const limits = createLimits(loaded.config.rate_limits, { metrics, log, previous: previous?.limits });
  return {
    authenticators,
    limits,
    close: () => {
      authenticators.close();
      limits.close();
    },
  };
}
