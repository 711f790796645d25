import { checkReference } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import { nearest } from "../config/nearest.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, duration, mapping, oneOrMore, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { limitKey } from "./caller-key.js";
import { serverKeys, storeNames, storeType } from "./stores/stores.js";

const RateLimitSchema = mapping(
  {
    requests: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000_000,
        description: "How many requests one key may send in each `per`, on average.",
      }),
    ),
    per: duration({ description: "The period of `requests`.", default: "1s" }),
    burst: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000_000,
        description: "How many requests may come at once. Without it, as many as `requests`.",
      }),
    ),
    concurrency: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description:
          "How many requests of one key may be under way at once, on each gateway; alone or with `requests`.",
      }),
    ),
    key: text("nonempty", {
      description:
        "What is counted together: `ip` (IPv6 by /64), `subject`, `api_key` (the subject that the key stands for), `header:<name>` or `global`.",
      default: "ip",
    }),
    store: choice(storeNames, {
      description: "Where rates are counted: in each gateway alone, or in Redis for all that share it.",
      default: "memory",
    }),
    ...serverKeys,
    on_store_failure: choice(["allow", "deny", "local"], {
      description:
        "What happens while Redis cannot be reached: every request passes, none does, or each gateway counts alone.",
      default: "local",
    }),
    mode: choice(["enforce", "shadow"], {
      description: "`shadow` refuses nothing and only counts what would have been refused.",
      default: "enforce",
    }),
  },
  "A limit that routes can name in `rate_limit`.",
);

/** `rate_limits`. */
export const RateLimitsSchema = Type.Record(
  Type.String({ pattern: "^(?!none$)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }),
  RateLimitSchema,
  {
    default: {},
    propertyNames: {
      description:
        "letters, digits, _, - and ., a letter or digit first, at most 63 characters, and not none",
    },
    description: "Rate and concurrency limits by name. Routes and metrics use these names.",
  },
);

/** `rate_limit` of a route: one name, several, or `none`; read with `limitNames`. */
export const rateLimitReference = Type.Optional(
  oneOrMore(text("nonempty", { description: "`none`, or a name under `rate_limits`." }), {
    description:
      "Names of limits under `rate_limits`; a request must pass all of them. Left out in a method: those of the service.",
  }),
);

/** The loaded value of `rateLimitReference`, as a list. */
export function limitNames(reference: string | readonly string[] | undefined): readonly string[] {
  if (reference === undefined || reference === "none") return [];
  return typeof reference === "string" ? [reference] : reference;
}

export type RateLimitsConfig = Loaded<typeof RateLimitsSchema>;
export type RateLimitConfig = RateLimitsConfig[string];

/** Milliseconds that a bucket may take to fill again. */
const maxRefill = 30 * 86_400_000;

export function checkRateLimits(limits: DraftOf<RateLimitsConfig> | undefined, findings: Findings): void {
  for (const [name, limit] of Object.entries(limits ?? {})) {
    if (limit !== undefined) checkLimit(["rate_limits", name], limit, findings);
  }
}

/** Adds an error for each name of a `rateLimitReference` that is not under `rate_limits`. */
export function checkLimitNames(
  at: Path,
  reference: DraftOf<string | readonly string[]> | undefined,
  limits: DraftOf<RateLimitsConfig> | undefined,
  findings: Findings,
): void {
  const names = limitNames(reference as string | readonly string[] | undefined);
  names.forEach((name: string | undefined, index) => {
    const path = typeof reference === "string" ? at : [...at, index];
    if (name === "none" && !Object.hasOwn(limits ?? {}, name))
      findings.error(
        path,
        `${findings.show(path, name)} cannot be combined: it means that there is no limit`,
      );
    else checkReference("rate limit", path, name, limits, findings);
  });
}

function checkLimit(at: Path, limit: DraftOf<RateLimitConfig>, findings: Findings): void {
  const { requests, burst, key } = limit;
  if (!("requests" in limit) && !("concurrency" in limit)) {
    findings.error(at, 'expected "requests", "concurrency" or both; without them nothing is limited');
  }
  if (!("requests" in limit) && burst !== undefined) {
    findings.error([...at, "burst"], '"burst" without "requests"; a bucket needs both');
  }
  if (requests !== undefined && limit.per !== undefined) {
    if (requests / limit.per > 1000) {
      findings.error([...at, "requests"], "expected at most 1000 requests in each millisecond");
    } else if (((burst ?? requests) * limit.per) / requests > maxRefill) {
      findings.error([...at, "burst"], "at this rate the bucket takes more than 30 days to fill again");
    }
  }
  if (key !== undefined && limitKey(key) === undefined) {
    const suggestion = nearest(key, ["ip", "subject", "api_key", "global"]);
    const shown = findings.show([...at, "key"], key);
    const message = `expected ip, subject, api_key, header:<name> or global, found ${shown}`;
    findings.error([...at, "key"], message, { suggestion });
  }
  checkStore(at, limit, findings);
}

function checkStore(at: Path, limit: DraftOf<RateLimitConfig>, findings: Findings): void {
  const { store } = limit;
  for (const name of storeNames) {
    const { server } = storeType(name);
    if (server === undefined) continue;
    const key = name as keyof typeof serverKeys;
    if (store === name) {
      if (!(key in limit)) {
        findings.error(at, `missing key "${key}"; expected where the server of the store is`);
      }
      if (!("requests" in limit)) {
        findings.error([...at, "store"], `"${name}" counts rates; "concurrency" alone is counted in memory`);
      }
    }
    const given = limit[key];
    if (given === undefined) continue;
    server.check([...at, key], given, findings);
    if (store !== undefined && store !== name)
      findings.error([...at, key], `"${key}" without "store: ${name}"`);
  }
}

/** The server that the limit counts on; undefined where it counts in this process. */
export function storeServer(limit: RateLimitConfig): unknown {
  return storeType(limit.store).server === undefined
    ? undefined
    : limit[limit.store as keyof typeof serverKeys];
}
