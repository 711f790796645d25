import type { Registry } from "prom-client";
import { other } from "../telemetry/route-metrics.js";
import { CounterSeries } from "../telemetry/series.js";

/**
 * The result of a request for a token: issued; refused by a policy or by the authorizing backend; not a
 * valid request; or failed for a reason of the gateway's or the backend's.
 */
export type TokenResult = "issued" | "refused" | "invalid" | "failed";

/** The result of a webhook: accepted; accepted before; not signed by LiveKit; or to be sent again. */
export type WebhookResult = "accepted" | "repeated" | "rejected" | "failed";

const events: ReadonlySet<string> = new Set([
  "room_started",
  "room_finished",
  "participant_joined",
  "participant_left",
  "participant_connection_aborted",
  "track_published",
  "track_unpublished",
  "egress_started",
  "egress_updated",
  "egress_ended",
  "ingress_started",
  "ingress_ended",
]);

/** The result of a request that starts or ends an object: done by LiveKit, else as for tokens. */
export type ActionResult = "done" | Exclude<TokenResult, "issued">;

/** Counts tokens, actions and webhooks. One a process: it outlives reloads. */
export class LiveKitMetrics {
  readonly #tokens: CounterSeries;
  readonly #actions: CounterSeries;
  readonly #webhooks: CounterSeries;

  constructor(registry: Registry) {
    this.#tokens = new CounterSeries(
      registry,
      "protogate_livekit_tokens_total",
      "Requests for LiveKit tokens by the grant of their route and by result.",
      ["grant", "result"],
    );
    this.#actions = new CounterSeries(
      registry,
      "protogate_livekit_actions_total",
      "Requests that start or end an egress, an ingress or a phone call, by LiveKit's method and by result.",
      ["call", "result"],
    );
    this.#webhooks = new CounterSeries(
      registry,
      "protogate_livekit_webhooks_total",
      "LiveKit webhooks by event and by result; `other` for events unknown to this version or not signed.",
      ["event", "result"],
    );
  }

  /** @param grant a name of the configuration */
  token(grant: string, result: TokenResult): void {
    this.#tokens.child(grant, result).inc();
  }

  /** @param call a method of LiveKit's server API */
  action(call: string, result: ActionResult): void {
    this.#actions.child(call, result).inc();
  }

  /** @param event as LiveKit names it; undefined where that cannot be believed */
  webhook(event: string | undefined, result: WebhookResult): void {
    this.#webhooks.child(event !== undefined && events.has(event) ? event : other, result).inc();
  }
}
