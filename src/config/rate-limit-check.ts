import type { Draft, DraftOf } from "./draft.js";
import type { Findings } from "./findings.js";
import { nearest } from "./nearest.js";
import type { Path } from "./path.js";
import { limitKey } from "./rate-limit-key.js";
import { limitNames } from "./rate-limit-schema.js";
import type { RateLimitConfig } from "./schema.js";
import { serviceOptions } from "./service-options.js";

/** Milliseconds. */
const longestRefill = 30 * 86_400_000;

export function checkRateLimits(draft: Draft, findings: Findings): void {
  for (const [name, limit] of Object.entries(draft.rate_limits ?? {})) {
    if (limit !== undefined) checkLimit(["rate_limits", name], limit, findings);
  }
  for (const { path, options } of serviceOptions(draft)) {
    checkLimitNames([...path, "rate_limit"], options.rate_limit, draft, findings);
  }
}

/** Adds an error for each name that is not under `rate_limits`. */
export function checkLimitNames(
  at: Path,
  reference: DraftOf<string | readonly string[]> | undefined,
  draft: Draft,
  findings: Findings,
): void {
  const declared = Object.keys(draft.rate_limits ?? {});
  const names = limitNames(reference as string | readonly string[] | undefined);
  names.forEach((name: string | undefined, index) => {
    if (name === undefined || declared.includes(name)) return;
    const place = typeof reference === "string" ? at : [...at, index];
    const shown = findings.show(place, name);
    if (name === "none") {
      findings.error(place, `${shown} stands alone: it means that there is no limit`);
      return;
    }
    const suggestion = nearest(name, declared);
    const some = declared.length <= 10 ? declared : [...declared.slice(0, 10), "..."];
    const known = declared.length === 0 ? "; none is declared" : `; declared are ${some.join(", ")}`;
    findings.error(place, `there is no rate limit ${shown}${suggestion === undefined ? known : ""}`, {
      suggestion,
    });
  });
}

function checkLimit(at: Path, limit: DraftOf<RateLimitConfig>, findings: Findings): void {
  const { requests, burst, key, store, redis } = limit;
  if (!("requests" in limit) && !("concurrency" in limit)) {
    findings.error(at, 'expected "requests", "concurrency" or both; without them nothing is limited');
  }
  if (!("requests" in limit) && burst !== undefined) {
    findings.error([...at, "burst"], '"burst" without "requests"; a bucket needs both');
  }
  if (requests !== undefined && limit.per !== undefined) {
    if (requests / limit.per > 1000) {
      findings.error([...at, "requests"], "expected at most 1000 requests in each millisecond");
    } else if (((burst ?? requests) * limit.per) / requests > longestRefill) {
      findings.error([...at, "burst"], "at this rate the bucket takes more than 30 days to fill again");
    }
  }
  if (key !== undefined && limitKey(key) === undefined) {
    const suggestion = nearest(key, ["ip", "subject", "api_key", "global"]);
    const shown = findings.show([...at, "key"], key);
    const message = `expected ip, subject, api_key, header:<name> or global, found ${shown}`;
    findings.error([...at, "key"], message, { suggestion });
  }
  if (store === "redis") {
    if (!("redis" in limit))
      findings.error(at, 'missing key "redis"; the store needs to know where Redis is');
    if (!("requests" in limit)) {
      findings.error([...at, "store"], '"redis" counts rates; "concurrency" alone is counted in memory');
    }
  }
  if (redis === undefined) return;
  // Never shown: the URL may hold a password.
  if (!isRedisUrl(redis)) {
    findings.error([...at, "redis"], "expected a URL such as redis://host:6379/0 or rediss://host:6379");
  } else if (store === "memory") {
    findings.error([...at, "redis"], '"redis" without "store: redis"');
  }
}

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d{0,4})?$/.test(pathname);
}
