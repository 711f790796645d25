import { Registry } from "prom-client";
import type { RateLimitConfig } from "../../src/limits/config.js";
import type { Limited, Limiter } from "../../src/limits/limiter.js";
import { createLimits, type Limits } from "../../src/limits/limits.js";
import { LimitsMetrics } from "../../src/limits/limits-metrics.js";
import { GatewayError } from "../../src/status/failure.js";

export type LimitKeys = Partial<RateLimitConfig>;

const defaults: RateLimitConfig = {
  per: 1000,
  key: "ip",
  store: "memory",
  on_store_failure: "local",
  mode: "enforce",
};

/** Limits over a clock that tests move, with their metrics and log. */
export class Bench {
  readonly registry = new Registry();
  readonly metrics = new LimitsMetrics(this.registry);
  readonly lines: string[] = [];
  /** Ticks. */
  time = 0;
  readonly #waiting: { readonly part: string; readonly seen: () => void }[] = [];

  /** @param timeoutMs of Redis; long, as the machines of tests are slow */
  constructor(readonly timeoutMs = 30_000) {}

  limits(configs: Readonly<Record<string, LimitKeys>>, previous?: Limits): Limits {
    const filled = Object.entries(configs).map(([name, keys]) => [name, { ...defaults, ...keys }] as const);
    const log = (_: object, message?: string): void => this.#log(`${JSON.stringify(_)} ${message}`);
    return createLimits(Object.fromEntries(filled), {
      metrics: this.metrics,
      log: { warn: log, info: log } as never,
      previous,
      now: () => this.time,
      timeoutMs: this.timeoutMs,
    });
  }

  pass(milliseconds: number): void {
    this.time += milliseconds * 16_000;
  }

  /** Resolves when a log line has this text, now or later. */
  logged(part: string): Promise<void> {
    if (this.lines.some(line => line.includes(part))) return Promise.resolve();
    return new Promise(seen => this.#waiting.push({ part, seen }));
  }

  async decisions(): Promise<Readonly<Record<string, number>>> {
    const { values } = await this.registry.getSingleMetric("protogate_rate_limit_decisions_total")!.get();
    const counted = values.filter(({ value }) => value > 0);
    return Object.fromEntries(
      counted.map(({ labels, value }) => [`${labels.limit} ${labels.decision}`, value]),
    );
  }

  #log(line: string): void {
    this.lines.push(line);
    for (const { part, seen } of this.#waiting) if (line.includes(part)) seen();
  }
}

export function caller(clientAddress: string, headers: Readonly<Record<string, string>> = {}): Limited {
  return { clientAddress, header: name => headers[name] };
}

export interface Tried {
  readonly ok: boolean;
  readonly reason: string | undefined;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly release: (() => void) | undefined;
}

/** One request against a limiter, with what came of it. */
export async function tryOnce(limiter: Limiter, from: Limited, subject?: string): Promise<Tried> {
  try {
    const admission = await limiter.admit(from, subject);
    const headers = Object.fromEntries(admission?.headers ?? []);
    const release = admission?.release;
    return { ok: true, reason: undefined, status: undefined, retryAfter: undefined, headers, release };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const { reason, httpStatus: status, retryAfter, headers } = error.failure;
    return {
      ok: false,
      reason,
      status,
      retryAfter,
      headers: Object.fromEntries(headers),
      release: undefined,
    };
  }
}

/** How many of `count` requests in a row are admitted. */
export async function admittedOf(
  count: number,
  limiter: Limiter,
  from: Limited,
  subject?: string,
): Promise<number> {
  let admitted = 0;
  for (let index = 0; index < count; index++) if ((await tryOnce(limiter, from, subject)).ok) admitted++;
  return admitted;
}
