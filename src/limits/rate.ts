import type { HeaderList } from "../net/headers.js";

/**
 * The generic cell rate algorithm (ITU-T I.371, annex A): a token bucket that is one number, the time at which it will
 * be full again. Times are whole ticks of 1/16 µs, which represent every rate of the configuration and make
 * all sums exact.
 */
export const ticksPerMillisecond = 16_000;

/** A bucket's size and how fast it fills. */
export interface Rate {
  /** Ticks in which one request becomes free. */
  readonly interval: number;
  /** Requests that a full bucket holds. */
  readonly burst: number;
}

export interface Decision {
  readonly admitted: boolean;
  /** Ticks until the bucket is full, after the decision. */
  readonly debt: number;
}

/** @param per milliseconds */
export function rateOf(requests: number, per: number, burst: number): Rate {
  return { interval: Math.max(1, Math.floor((per * ticksPerMillisecond) / requests)), burst };
}

/** @param debt ticks until the bucket is full, before the request */
export function decide({ interval, burst }: Rate, debt: number): Decision {
  const admitted = debt + interval <= burst * interval;
  return { admitted, debt: admitted ? debt + interval : debt };
}

/** Requests that would be admitted now. */
export function remaining({ interval, burst }: Rate, debt: number): number {
  return Math.max(0, Math.floor((burst * interval - debt) / interval));
}

/** Ticks until a request would be admitted. */
export function wait({ interval, burst }: Rate, debt: number): number {
  return Math.max(0, debt + interval - burst * interval);
}

/** Now, on the clock of buckets in this process. */
export function monotonicTicks(): number {
  return Math.floor(performance.now() * ticksPerMillisecond);
}

/** The item of a RateLimit-Policy field. */
export function policyItem(name: string, { interval, burst }: Rate): string {
  return `"${name}";q=${burst};w=${Math.max(1, seconds(burst * interval))}`;
}

/** The time of the next possible request after a refusal. @param debt as returned by `decide` */
export function refusalOf(
  name: string,
  rate: Rate,
  debt: number,
): { readonly retryAfter: number; readonly headers: HeaderList } {
  const retryAfter = Math.max(1, seconds(wait(rate, debt)));
  return {
    retryAfter,
    headers: [
      ["ratelimit-policy", policyItem(name, rate)],
      ["ratelimit", `"${name}";r=0;t=${retryAfter}`],
    ],
  };
}

/** Whole seconds, rounded up. */
export function seconds(ticks: number): number {
  return Math.ceil(ticks / (ticksPerMillisecond * 1000));
}
