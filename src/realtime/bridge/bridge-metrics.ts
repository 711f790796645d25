import { Gauge, type Registry } from "prom-client";
import { codeLabel } from "../../telemetry/route-metrics.js";
import {
  type CounterChild,
  CounterSeries,
  type HistogramChild,
  HistogramSeries,
} from "../../telemetry/series.js";

/** The purpose of a call from a socket to a backend. */
export type BridgeUse = "connect" | "join" | "message" | "leave" | "disconnect" | "call" | "stream";

/** The metrics of calls from sockets to backends. One instance outlives all configurations. */
export class BridgeMetrics {
  readonly #calls: CounterSeries;
  readonly #seconds: HistogramSeries;
  readonly #ended = new Map<string, CounterChild>();
  readonly #durations = new Map<BridgeUse, HistogramChild>();
  #underWay = 0;

  /** @param buckets upper bounds in seconds, ascending */
  constructor(registry: Registry, buckets: readonly number[]) {
    this.#calls = new CounterSeries(
      registry,
      "protogate_ws_bridge_calls_total",
      "Calls to backends on behalf of sockets that are over, by socket event (or call, stream) and gRPC code.",
      ["event", "code"],
    );
    this.#seconds = new HistogramSeries(
      registry,
      "protogate_ws_bridge_call_duration_seconds",
      "Time from the frame of a socket to the end of the call to the backend, waiting in line included; without streams.",
      ["event"],
      buckets,
    );
    const metrics = this;
    new Gauge({
      name: "protogate_ws_bridge_calls_in_flight",
      help: "Calls to backends on behalf of sockets that are under way or wait in line.",
      registers: [registry],
      collect() {
        this.set(metrics.#underWay);
      },
    });
  }

  started(): void {
    this.#underWay++;
  }

  /**
   * Counts the end of a call that `started` has counted.
   * @param code gRPC status code
   */
  ended(use: BridgeUse, code: number, seconds: number): void {
    this.#underWay--;
    const label = codeLabel(code);
    const key = `${use} ${label}`;
    let counter = this.#ended.get(key);
    if (counter === undefined) {
      counter = this.#calls.child(use, label);
      this.#ended.set(key, counter);
    }
    counter.inc();
    if (use === "stream") return;
    let duration = this.#durations.get(use);
    if (duration === undefined) {
      duration = this.#seconds.child(use);
      this.#durations.set(use, duration);
    }
    duration.observe(seconds);
  }
}
