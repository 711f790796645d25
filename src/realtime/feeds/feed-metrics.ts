import { Gauge, type Registry } from "prom-client";
import { codeLabel } from "../../telemetry/route-metrics.js";
import { type CounterChild, CounterSeries } from "../../telemetry/series.js";

/** What became of a message of a feed. */
const results = ["published", "duplicate", "too_large", "malformed", "refused"] as const;
export type FeedResult = (typeof results)[number];

/** The metrics of the streams that feed rooms. One instance outlives all configurations. */
export class FeedMetrics {
  readonly messages: Readonly<Record<FeedResult, CounterChild>>;
  readonly takeovers: CounterChild;
  /** Streams that are open now, and rooms that this process feeds, their streams open or to be opened again. */
  open = 0;
  feeding = 0;
  readonly #ends: CounterSeries;

  constructor(registry: Registry) {
    const messages = new CounterSeries(
      registry,
      "protogate_ws_feed_messages_total",
      "Messages of the streams that feed rooms, by what became of them.",
      ["result"],
    );
    this.messages = Object.fromEntries(results.map(result => [result, messages.child(result)])) as Record<
      FeedResult,
      CounterChild
    >;
    this.#ends = new CounterSeries(
      registry,
      "protogate_ws_feed_ends_total",
      "Streams that feed rooms and ended though the room had members, by gRPC code.",
      ["code"],
    );
    this.takeovers = new CounterSeries(
      registry,
      "protogate_ws_feed_takeovers_total",
      "Rooms whose feed this process took over from another one.",
      [],
    ).child();
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name: `protogate_ws_feed_${name}`,
        help,
        registers: [registry],
        collect() {
          this.set(value());
        },
      });
    gauge("rooms", "Rooms that this process feeds from a stream.", () => this.feeding);
    gauge("streams", "Streams that feed rooms and are open.", () => this.open);
  }

  /** @param code of gRPC */
  ended(code: number): void {
    this.#ends.child(codeLabel(code)).inc();
  }
}
