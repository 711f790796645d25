import type { Findings } from "../config/findings.js";
import { choice, type DraftOf, type Loaded, section, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { TracingSchema } from "./tracing/config.js";

const LogSchema = section(
  {
    level: choice(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
      description: "The least level that is logged.",
      default: "info",
    }),
    subject: choice(["none", "plain", "hash"], {
      description: "Whether the line of a request has the caller: not at all, the subject, or a hash of it.",
      default: "none",
    }),
    hash_key: Type.Optional(
      text("secret", { description: "The key of the hash, for subject: hash; 16 characters or more." }),
    ),
    upstream_address: Type.Boolean({
      description: "Whether the line of a request has the address of the endpoint that it went to.",
      default: false,
    }),
  },
  "The log, JSON lines on standard output.",
);

export type LogConfig = Loaded<typeof LogSchema>;

/** `telemetry`. */
export const TelemetrySchema = section(
  {
    log: LogSchema,
    metrics: section(
      {
        buckets: Type.Array(Type.Number({ minimum: 0 }), {
          minItems: 1,
          maxItems: 100,
          default: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
          description: "Upper bounds of the duration histograms, seconds, ascending.",
        }),
      },
      "The metrics on the admin listener.",
    ),
    tracing: Type.Optional(TracingSchema),
  },
  "Log, metrics and traces of the gateway.",
);

export type TelemetryConfig = Loaded<typeof TelemetrySchema>;

export function checkTelemetry(telemetry: DraftOf<TelemetryConfig> | undefined, findings: Findings): void {
  checkLog(telemetry?.log, findings);
  const buckets = telemetry?.metrics?.buckets ?? [];
  buckets.forEach((bucket, index) => {
    const before = buckets[index - 1];
    if (bucket === undefined || before === undefined || before < bucket) return;
    const path = ["telemetry", "metrics", "buckets", index];
    findings.error(path, `expected a bound above the one before, ${before}, found ${bucket}`);
  });
}

/** Least characters of a key. Subjects are easily guessed: with the key, hashes reveal them. */
const minKey = 16;

function checkLog(log: DraftOf<LogConfig> | undefined, findings: Findings): void {
  const path = ["telemetry", "log"];
  const { subject, hash_key: key } = log ?? {};
  if (subject === "hash" && key === undefined)
    findings.error([...path, "subject"], 'expected "hash_key" beside "hash", found none');
  if (key !== undefined && key.length < minKey)
    findings.error([...path, "hash_key"], `expected ${minKey} characters or more, found ${key.length}`);
  if (key !== undefined && subject !== undefined && subject !== "hash")
    findings.warning([...path, "hash_key"], `it is not used: "subject" is "${subject}"`);
}
