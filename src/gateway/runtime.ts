import { AuthMetrics, PolicyMetrics } from "../auth/auth-metrics.js";
import type { SessionRefreshes } from "../auth/provider.js";
import { sessionRefreshes } from "../auth/providers/oidc-login/refreshes.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import type { Borrower } from "../limits/lending/borrower.js";
import { borrowFrom } from "../limits/lending/token-lender.js";
import { LimitsMetrics } from "../limits/limits-metrics.js";
import { deliveredEvents, type Once } from "../livekit/idempotency-cache.js";
import { LiveKitMetrics } from "../livekit/metrics.js";
import { Removals, shareRemovals } from "../livekit/removals.js";
import { BridgeMetrics } from "../realtime/bridge/bridge-metrics.js";
import { FeedMetrics } from "../realtime/feeds/feed-metrics.js";
import { RealtimeMetrics } from "../realtime/metrics.js";
import { AccessLog } from "../telemetry/access-log.js";
import type { Logger } from "../telemetry/logger.js";
import { Metrics } from "../telemetry/metrics.js";
import { OpenFiles } from "../telemetry/open-files.js";
import { SpanExporter, spanCounter } from "../telemetry/tracing/exporter.js";
import { Tracer } from "../telemetry/tracing/tracer.js";
import { version } from "../telemetry/version.js";
import { ValidationMetrics } from "../validation/validator.js";
import type { ProcessChannel } from "../workers/channel.js";
import { CertificateMetrics } from "./certificates.js";
import type { GatewayConfig } from "./config.js";

/** The parts that exist once in a process and outlive every reload. */
export interface Runtime {
  readonly log: Logger;
  readonly accessLog: AccessLog;
  readonly metrics: Metrics;
  readonly openFiles: OpenFiles;
  /** Undefined where no traces are recorded. */
  readonly tracer: Tracer | undefined;
  readonly auth: AuthMetrics;
  readonly policies: PolicyMetrics;
  readonly refreshes: SessionRefreshes;
  readonly limits: LimitsMetrics;
  readonly certificates: CertificateMetrics;
  readonly validation: ValidationMetrics;
  readonly livekit: LiveKitMetrics;
  readonly removals: Removals;
  /** Events of LiveKit's webhooks, by their ids. */
  readonly delivered: Once;
  readonly realtime: RealtimeMetrics;
  readonly bridge: BridgeMetrics;
  readonly feeds: FeedMetrics;
  /** Routes beside the configuration. */
  readonly handlers: readonly LocalHandler[];
  /** To the primary; undefined where this process is the only one. */
  readonly channel: ProcessChannel | undefined;
  /** The number of this process among the workers; undefined where it is the only one. */
  readonly worker: number | undefined;
  /** Of a worker: borrows the tokens of limits from the primary. */
  readonly borrower: Borrower | undefined;
}

export function createRuntime(
  { telemetry }: GatewayConfig,
  log: Logger,
  endpoints: readonly LocalHandler[] = [],
  { channel, worker }: Partial<Pick<Runtime, "channel" | "worker">> = {},
): Runtime {
  const removals = new Removals();
  if (channel !== undefined) shareRemovals(removals, channel);
  const metrics = new Metrics({ version, buckets: telemetry.metrics.buckets });
  const { registry } = metrics;
  const { tracing } = telemetry;
  const spans = spanCounter(registry);
  return {
    log,
    accessLog: new AccessLog(log, telemetry.log),
    metrics,
    openFiles: new OpenFiles(log),
    tracer: tracing && new Tracer(new SpanExporter({ headers: {}, ...tracing }, log, spans), tracing),
    auth: new AuthMetrics(registry),
    policies: new PolicyMetrics(registry),
    refreshes: sessionRefreshes(channel),
    certificates: new CertificateMetrics(registry),
    limits: new LimitsMetrics(registry),
    validation: new ValidationMetrics(registry),
    livekit: new LiveKitMetrics(registry),
    removals,
    delivered: deliveredEvents(channel),
    realtime: new RealtimeMetrics(registry),
    bridge: new BridgeMetrics(registry, telemetry.metrics.buckets),
    feeds: new FeedMetrics(registry),
    handlers: endpoints,
    worker,
    channel,
    borrower: channel && borrowFrom(channel),
  };
}
