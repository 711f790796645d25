import { type Authenticators, createAuthenticators } from "../auth/authenticators.js";
import type { ProvidersConfig } from "../auth/config.js";
import { providerType } from "../auth/providers/providers.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import { passedHeaders } from "../bindings/service-check.js";
import type { Model } from "../descriptors/model.js";
import { statusDialect } from "../dialects/status.js";
import { createLimits, type Limits } from "../limits/limits.js";
import { gatewayError } from "../status/failure.js";
import type { Channel } from "../upstream/channel.js";
import type { GatewayConfig } from "./config.js";
import type { Runtime } from "./runtime.js";

/** The providers and limits of one generation, which the guards of its routes are made of. */
export interface Guards {
  readonly authenticators: Authenticators;
  readonly limits: Limits;
  /** Stops refreshes and watchers, and releases connections. */
  close(): void;
}

/** @param previous not yet closed; limits that are defined in the same way go on with its counts */
export function createGuards(
  config: GatewayConfig,
  model: Model,
  channel: (upstream: string) => Channel,
  { auth, refreshes, limits: metrics, log, borrower }: Runtime,
  previous: Guards | undefined,
): Guards {
  const authenticators = createAuthenticators(config, {
    model,
    channel,
    passedHeaders: passedHeaders(config),
    metrics: auth,
    refreshes,
    log: ({ level, provider, message, traceId }) => log[level]({ provider, trace_id: traceId }, message),
  });
  const limits = createLimits(config.rate_limits, { metrics, log, previous: previous?.limits, borrower });
  return {
    authenticators,
    limits,
    close: () => {
      authenticators.close();
      limits.close();
    },
  };
}

/** Bytes of a request body; these routes read none. */
const bodyLimit = 1024;

/**
 * The routes that the providers of a configuration serve themselves, such as the callback of a login.
 * @param authenticators called when requests come
 */
export function providerRoutes(
  providers: ProvidersConfig,
  authenticators: () => Authenticators,
): readonly LocalHandler[] {
  return Object.entries(providers).flatMap(([name, config]) =>
    (providerType(config.type).routes?.(config) ?? []).map(
      (route): LocalHandler => ({
        method: route.method,
        template: route.path,
        at: ["auth", "providers", name, ...route.at],
        service: "auth",
        auth: "none",
        rateLimit: undefined,
        dialect: statusDialect,
        bodyLimit,
        handle: request => {
          const served = authenticators().provider(name).serve?.(route.name, request);
          if (served === undefined) throw gatewayError("INTERNAL", "the provider does not serve its route");
          return served;
        },
      }),
    ),
  );
}
