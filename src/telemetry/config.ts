import Type from "typebox";
import type { Findings } from "../config/findings.js";
import { choice, type DraftOf, type Loaded, section } from "../config/schema.js";
import { TracingSchema } from "./tracing/config.js";

/** `telemetry`. */
export const TelemetrySchema = section(
  {
    log: section(
      {
        level: choice(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
          description: "The least level that is logged.",
          default: "info",
        }),
      },
      "The log, JSON lines on standard output.",
    ),
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
  "What the gateway reports about itself.",
);

export type TelemetryConfig = Loaded<typeof TelemetrySchema>;

export function checkTelemetry(telemetry: DraftOf<TelemetryConfig> | undefined, findings: Findings): void {
  const buckets = telemetry?.metrics?.buckets ?? [];
  buckets.forEach((bucket, index) => {
    const before = buckets[index - 1];
    if (bucket === undefined || before === undefined || before < bucket) return;
    const path = ["telemetry", "metrics", "buckets", index];
    findings.error(path, `expected a bound above the one before, ${before}, found ${bucket}`);
  });
}
