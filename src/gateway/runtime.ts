import { AuthMetrics } from "../auth/auth-metrics.js";
import { PolicyMetrics } from "../auth/policy/policy-metrics.js";
import type { Config } from "../config/schema.js";
import { LiveKitMetrics } from "../livekit/metrics.js";
import type { Logger } from "../telemetry/logger.js";
import { Metrics } from "../telemetry/metrics.js";
import { version } from "../telemetry/version.js";
import { ValidationMetrics } from "../validation/metrics.js";

/** What there is once in a process and outlives every reload. */
export interface Runtime {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly auth: AuthMetrics;
  readonly policies: PolicyMetrics;
  readonly validation: ValidationMetrics;
  readonly livekit: LiveKitMetrics;
}

export function createRuntime({ telemetry }: Config, log: Logger): Runtime {
  const metrics = new Metrics({ version, buckets: telemetry.metrics.buckets });
  const { registry } = metrics;
  return {
    log,
    metrics,
    auth: new AuthMetrics(registry),
    policies: new PolicyMetrics(registry),
    validation: new ValidationMetrics(registry),
    livekit: new LiveKitMetrics(registry),
  };
}
