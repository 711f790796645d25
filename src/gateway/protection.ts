import { type Authenticators, createAuthenticators } from "../auth/authenticators.js";
import type { Limiter } from "../limits/limiter.js";
import type { Channel } from "../upstream/channel.js";
import type { Compiled } from "./compile.js";
import type { Runtime } from "./runtime.js";

/** What guards are made of. */
export interface Protection {
  readonly authenticators: Authenticators;
  readonly limits: { limiterOf(names: readonly string[]): Limiter };
  /** Stops refreshes and watchers. */
  close(): void;
}

export function createProtection(
  { loaded, model }: Compiled,
  channels: ReadonlyMap<string, Channel>,
  { auth, log }: Runtime,
): Protection {
  const authenticators = createAuthenticators(loaded.config, {
    model,
    // Loading has checked that the upstream exists.
    channel: name => channels.get(name) as Channel,
    metrics: auth,
    log: ({ level, provider, message }) => log[level]({ provider }, message),
  });
  return {
    authenticators,
    limits: {
      limiterOf: () => {
        throw new Error("no limits yet");
      },
    },
    close: () => authenticators.close(),
  };
}
