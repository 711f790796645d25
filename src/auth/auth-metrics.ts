import { Gauge, type Registry } from "prom-client";
import { type CounterChild, CounterSeries } from "../telemetry/series.js";

/**
 * The result of a provider: `accepted`; `missing`, there was no credential; `invalid`; `expired`;
 * `unavailable`, the provider could not decide.
 */
const authResults = ["accepted", "missing", "invalid", "expired", "unavailable"] as const;
export type AuthResult = (typeof authResults)[number];

/** The counters of one provider, one a result. */
export type ProviderCounters = Readonly<Record<AuthResult, CounterChild>>;

/** Counters of fetching one provider's key set. */
export interface RefreshCounters {
  readonly success: CounterChild;
  readonly failure: CounterChild;
}

/**
 * The result of a login: `success`; `refused` by the issuer, or because the session would be too large; `invalid`, the
 * response belongs to no login that the browser has begun; `unavailable`, the issuer did not respond.
 */
export type LoginResult = "success" | "refused" | "invalid" | "unavailable";
export type LoginCounters = Readonly<Record<LoginResult, CounterChild>>;

/** Counters of refreshing the tokens of sessions: `refused` by the issuer, or without a response. */
export type SessionRefreshCounters = Readonly<Record<Exclude<LoginResult, "invalid">, CounterChild>>;

/** Metrics of authentication. One for the process; labels are names from the configuration and closed sets. */
export class AuthMetrics {
  readonly #results: CounterSeries;
  readonly #refreshes: CounterSeries;
  readonly #logins: CounterSeries;
  readonly #sessionRefreshes: CounterSeries;
  /** When the key set of a provider was last fetched, milliseconds since 1970; undefined: never. */
  readonly #fetched = new Map<string, () => number | undefined>();

  constructor(registry: Registry) {
    this.#results = new CounterSeries(
      registry,
      "protogate_auth_total",
      "Authentications by provider and result.",
      ["provider", "result"],
    );
    this.#refreshes = new CounterSeries(
      registry,
      "protogate_auth_jwks_refreshes_total",
      "Fetches of a provider's key set by result: success or failure.",
      ["provider", "result"],
    );
    this.#logins = new CounterSeries(
      registry,
      "protogate_auth_logins_total",
      "Logins of browsers by result.",
      ["provider", "result"],
    );
    this.#sessionRefreshes = new CounterSeries(
      registry,
      "protogate_auth_session_refreshes_total",
      "Refreshes of the tokens of sessions by result.",
      ["provider", "result"],
    );
    const fetched = this.#fetched;
    new Gauge({
      name: "protogate_auth_jwks_age_seconds",
      help: "Time since a provider's key set was last fetched; absent until it was.",
      labelNames: ["provider"],
      aggregator: "max",
      registers: [registry],
      collect() {
        this.reset();
        for (const [provider, at] of fetched) {
          const time = at();
          if (time !== undefined) this.set({ provider }, Math.max(0, Date.now() - time) / 1000);
        }
      },
    });
  }

  provider(name: string): ProviderCounters {
    const child = (result: AuthResult): CounterChild => this.#results.child(name, result);
    return {
      accepted: child("accepted"),
      missing: child("missing"),
      invalid: child("invalid"),
      expired: child("expired"),
      unavailable: child("unavailable"),
    };
  }

  refreshes(provider: string): RefreshCounters {
    return {
      success: this.#refreshes.child(provider, "success"),
      failure: this.#refreshes.child(provider, "failure"),
    };
  }

  logins(provider: string): LoginCounters {
    const child = (result: LoginResult): CounterChild => this.#logins.child(provider, result);
    return {
      success: child("success"),
      refused: child("refused"),
      invalid: child("invalid"),
      unavailable: child("unavailable"),
    };
  }

  sessionRefreshes(provider: string): SessionRefreshCounters {
    return {
      success: this.#sessionRefreshes.child(provider, "success"),
      refused: this.#sessionRefreshes.child(provider, "refused"),
      unavailable: this.#sessionRefreshes.child(provider, "unavailable"),
    };
  }

  /** Where the age of a provider's key set comes from at each scrape; replaces the source before. */
  fetchedFrom(provider: string, at: () => number | undefined): void {
    this.#fetched.set(provider, at);
  }

  /** Removes the age, unless another source has replaced this one. */
  forget(provider: string, at: () => number | undefined): void {
    if (this.#fetched.get(provider) === at) this.#fetched.delete(provider);
  }
}

/** The decisions of one policy. */
export interface PolicyCounters {
  readonly allowed: CounterChild;
  readonly denied: CounterChild;
}

/** The decisions of policies. One instance outlives all generations. */
export class PolicyMetrics {
  readonly #decisions: CounterSeries;

  constructor(registry: Registry) {
    this.#decisions = new CounterSeries(
      registry,
      "protogate_policy_decisions_total",
      "Decisions of authorization policies, by the policy's name or index and the result.",
      ["policy", "result"],
    );
  }

  of(policy: string): PolicyCounters {
    return {
      allowed: this.#decisions.child(policy, "allowed"),
      denied: this.#decisions.child(policy, "denied"),
    };
  }
}
