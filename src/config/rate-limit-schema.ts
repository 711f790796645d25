import Type from "typebox";
import { choice, duration, mapping, oneOrMore, text } from "./kind.js";

const RateLimitSchema = mapping(
  {
    requests: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000_000,
        description: "How many requests one key may send in each `per`, in the long run.",
      }),
    ),
    per: duration({ description: "The time that `requests` counts for.", default: "1s" }),
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
    store: choice(["memory", "redis"], {
      description: "Where rates are counted: in each gateway alone, or in Redis for all that share it.",
      default: "memory",
    }),
    redis: Type.Optional(
      text("nonempty", {
        description: "Where Redis is, `redis://user:password@host:6379/0` or `rediss://` for TLS.",
      }),
    ),
    on_store_failure: choice(["allow", "deny", "local"], {
      description:
        "What happens while Redis does not answer: every request passes, none does, or each gateway counts alone.",
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
    description: "Limits of rate and of concurrency, by the name that routes and metrics know them by.",
  },
);

/** `rate_limit` of a route: one name, several, or `none`; read with `limitNames`. */
export const rateLimitReference = Type.Optional(
  oneOrMore(text("nonempty", { description: "`none`, or a name under `rate_limits`." }), {
    description:
      "The limits that a request must pass, all of them. Left out in a method, as the service has it.",
  }),
);

/** What `rateLimitReference` has loaded, as a list. */
export function limitNames(reference: string | readonly string[] | undefined): readonly string[] {
  if (reference === undefined || reference === "none") return [];
  return typeof reference === "string" ? [reference] : reference;
}
