import { after } from "node:test";
import { Registry } from "prom-client";
import { AuthMetrics } from "../../src/auth/auth-metrics.js";
import { type Authenticators, createAuthenticators } from "../../src/auth/authenticators.js";
import type { Caller, ClientCertificate } from "../../src/auth/caller.js";
import type { Identity } from "../../src/auth/identity.js";
import type { AuthEvent, Provider, SessionRefreshes } from "../../src/auth/provider.js";
import { sessionRefreshes } from "../../src/auth/providers/oidc-login/refreshes.js";
import { passedHeaders } from "../../src/bindings/service-check.js";
import type { Model } from "../../src/descriptors/model.js";
import type { GatewayConfig } from "../../src/gateway/config.js";
import { type Failure, GatewayError } from "../../src/status/failure.js";
import type { Channel } from "../../src/upstream/channel.js";

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly query?: string;
  readonly certificate?: ClientCertificate;
}

export function callerOf({
  method = "GET",
  headers = {},
  path = "/",
  query = "",
  certificate,
}: Asked): Caller {
  return {
    clientAddress: "127.0.0.1",
    method,
    path,
    query,
    encrypted: false,
    header: name => (Object.hasOwn(headers, name) ? headers[name] : undefined),
    cookies: () => (Object.hasOwn(headers, "cookie") ? headers.cookie : undefined),
    certificate: () => certificate,
  };
}

export const bearer = (token: string): Asked => ({ headers: { authorization: `Bearer ${token}` } });

export interface TestProviders {
  /** Asks providers; resolves with who calls. @throws GatewayError */
  ask(request: Asked, ...names: string[]): Promise<Identity>;
  /** As `ask`, but without a promise where the answer is known. */
  askNow(request: Asked, ...names: string[]): Identity | Promise<Identity>;
  /** The failure that the request ends with. */
  refused(request: Asked, ...names: string[]): Promise<Failure>;
  provider(name: string): Provider;
  readonly events: AuthEvent[];
  /** Resolves with the first event, old or new, whose message has the words. */
  logged(words: string): Promise<AuthEvent>;
  metrics(): Promise<string>;
  close(): void;
}

export interface TestOptions {
  readonly now?: () => number;
  readonly model?: Model;
  readonly channel?: Channel;
  readonly refreshes?: SessionRefreshes;
}

/** Providers of a configuration; all are asked where a test names none. Closed when the test file ends. */
export function testProviders(
  config: GatewayConfig,
  { now, model, channel, refreshes = sessionRefreshes() }: TestOptions = {},
): TestProviders {
  const registry = new Registry();
  const events: AuthEvent[] = [];
  const waiting = new Set<() => void>();
  const authenticators: Authenticators = createAuthenticators(config, {
    model: model as Model,
    passedHeaders: passedHeaders(config),
    channel: () => channel as Channel,
    metrics: new AuthMetrics(registry),
    refreshes,
    log: event => {
      events.push(event);
      for (const look of waiting) look();
    },
    ...(now !== undefined && { now }),
  });
  after(() => authenticators.close());
  const askNow: TestProviders["askNow"] = (request, ...names) => {
    const asked = names.length === 0 ? Object.keys(config.auth.providers) : names;
    const authenticator = authenticators.authenticatorOf(asked);
    if (authenticator === undefined) throw new Error("nobody is asked");
    return authenticator(callerOf(request));
  };
  const ask: TestProviders["ask"] = async (request, ...names) => askNow(request, ...names);
  return {
    ask,
    askNow,
    refused: async (request, ...names) => {
      try {
        const { subject } = await ask(request, ...names);
        throw new Error(`"${subject}" was accepted`);
      } catch (error) {
        if (error instanceof GatewayError) return error.failure;
        throw error;
      }
    },
    provider: name => authenticators.provider(name),
    events,
    logged: words =>
      new Promise(resolve => {
        // Watchers alone do not keep the process running.
        const alive = setInterval(() => undefined, 1000);
        const look = (): void => {
          const found = events.find(event => event.message.includes(words));
          if (found === undefined) return;
          waiting.delete(look);
          clearInterval(alive);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    metrics: () => registry.metrics(),
    close: () => authenticators.close(),
  };
}
