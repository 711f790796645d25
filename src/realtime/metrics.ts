import { Gauge, type Registry } from "prom-client";
import { other } from "../telemetry/route-metrics.js";
import {
  type CounterChild,
  CounterSeries,
  type HistogramChild,
  HistogramSeries,
} from "../telemetry/series.js";
import { frameTypes } from "./chat/frame-reader.js";
import { countedCodes } from "./chat/frames.js";

/** The values of the gauges at each scrape. */
export interface RealtimeCounts {
  readonly connections: number;
  readonly rooms: number;
  /** Memberships: a socket counts once for each of its rooms. */
  readonly members: number;
  /** Sockets that are behind. */
  readonly lagging: number;
  readonly historyBytes: number;
}

/** The result of a WebSocket upgrade. */
export const upgradeResults = [
  "accepted",
  "malformed",
  "origin",
  "unauthenticated",
  "forbidden",
  "rate_limited",
  "too_many",
  "unavailable",
  "aborted",
  "internal",
] as const;
export type UpgradeResult = (typeof upgradeResults)[number];

/** Frames that only the gateway sends. */
const sentTypes = ["receive-message", "notice", "ack", "error", "presence", "history", "gap", other] as const;
export type SentType = (typeof sentTypes)[number];

const dropReasons = ["slow_consumer", "rate_limited", "invalid", "refused"] as const;
export type DropReason = (typeof dropReasons)[number];

/** Frames of one type in one direction. */
export interface Traffic {
  readonly messages: CounterChild;
  readonly bytes: CounterChild;
}

const fallbackTransports = ["sse", "poll"] as const;

const sizes = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000];
const durations = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const lags = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The metrics of realtime. Labels come from closed sets; one instance outlives all configurations. */
export class RealtimeMetrics {
  readonly received: ReadonlyMap<string, Traffic>;
  readonly sent: Readonly<Record<SentType, Traffic>>;
  readonly dropped: Readonly<Record<DropReason, CounterChild>>;
  readonly slow: Readonly<Record<"close" | "drop", CounterChild>>;
  /** Messages that were read again from history for clients that were behind. */
  readonly replayed: CounterChild;
  readonly brokerFailures: CounterChild;
  /** Open sockets without a WebSocket, by transport. */
  readonly fallback: Record<(typeof fallbackTransports)[number], number> = { sse: 0, poll: 0 };
  readonly #upgrades: Readonly<Record<UpgradeResult, CounterChild>>;
  readonly #closes: CounterSeries;
  readonly #roomMembers: HistogramChild;
  readonly #recipients: HistogramChild;
  readonly #duration: HistogramChild;
  readonly #lag: HistogramChild;
  #counts: () => RealtimeCounts = () => nothing;

  constructor(registry: Registry) {
    const counter = (name: string, help: string, labels: readonly string[] = []) =>
      new CounterSeries(registry, `protogate_ws_${name}`, help, labels);
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      new HistogramSeries(registry, `protogate_ws_${name}`, help, [], bounds).child();

    const messages = counter("messages_total", "WebSocket messages by direction and type.", [
      "direction",
      "type",
    ]);
    const bytes = counter("bytes_total", "Payload bytes of WebSocket messages.", ["direction", "type"]);
    const traffic = (direction: string, type: string): Traffic => ({
      messages: messages.child(direction, type),
      bytes: bytes.child(direction, type),
    });
    this.received = new Map([...frameTypes, "invalid"].map(type => [type, traffic("in", type)]));
    this.sent = byName(sentTypes, type => traffic("out", type));

    const dropped = counter(
      "dropped_total",
      "Messages that were not delivered: those of gaps once for each client that was notified, and refused frames.",
      ["reason"],
    );
    this.dropped = byName(dropReasons, reason => dropped.child(reason));
    const slow = counter("slow_consumers_total", "Clients that fell behind, by action.", ["policy"]);
    this.slow = byName(["close", "drop"] as const, policy => slow.child(policy));
    this.replayed = counter("replayed_total", "Messages that were sent again from history.").child();
    this.brokerFailures = counter(
      "broker_failures_total",
      "Messages and notices that the broker did not accept.",
    ).child();
    const upgrades = counter("upgrades_total", "Requests for a socket by result.", ["result"]);
    this.#upgrades = byName(upgradeResults, result => upgrades.child(result));
    this.#closes = counter("closes_total", "Sockets that ended, by close code.", ["code"]);
    this.#roomMembers = histogram(
      "room_members",
      "Members of a room on this node, observed at each join.",
      sizes,
    );
    this.#recipients = histogram("fanout_recipients", "Clients that a message was sent to.", sizes);
    this.#duration = histogram(
      "fanout_duration_seconds",
      "Time to hand a message to all its clients.",
      durations,
    );
    this.#lag = histogram(
      "delivery_lag_seconds",
      "Time from when a message was accepted, on any node, to its fan-out on this one.",
      lags,
    );
    this.#gauges(registry);
  }

  /** Where the gauges come from at each scrape; replaces the source before. */
  countsFrom(source: () => RealtimeCounts): void {
    this.#counts = source;
  }

  upgrade(result: UpgradeResult): void {
    this.#upgrades[result].inc();
  }

  closed(code: number): void {
    this.#closes.child(countedCodes.has(code) ? String(code) : other).inc();
  }

  joined(members: number): void {
    this.#roomMembers.observe(members);
  }

  /** @param duration milliseconds */
  fannedOut(recipients: number, duration: number): void {
    this.#recipients.observe(recipients);
    this.#duration.observe(duration / 1000);
  }

  /** @param milliseconds clocks of nodes differ: less than 0 counts as 0 */
  delivered(milliseconds: number): void {
    this.#lag.observe(Math.max(0, milliseconds) / 1000);
  }

  #gauges(registry: Registry): void {
    const counts = () => this.#counts();
    const gauge = (name: string, help: string, value: (counts: RealtimeCounts) => number) =>
      new Gauge({
        name: `protogate_ws_${name}`,
        help,
        registers: [registry],
        collect() {
          this.set(value(counts()));
        },
      });
    gauge("connections", "Open sockets.", ({ connections }) => connections);
    gauge("rooms", "Rooms that have members on this node.", ({ rooms }) => rooms);
    gauge("members", "Memberships of rooms on this node.", ({ members }) => members);
    gauge("lagging", "WebSockets whose client is behind in a room.", ({ lagging }) => lagging);
    const { fallback } = this;
    new Gauge({
      name: "protogate_ws_fallback_connections",
      help: "Open sockets without a WebSocket, by transport.",
      labelNames: ["transport"],
      registers: [registry],
      collect() {
        for (const transport of fallbackTransports) this.set({ transport }, fallback[transport]);
      },
    });
    gauge("history_bytes", "Memory that kept messages take, about.", ({ historyBytes }) => historyBytes);
  }
}

const nothing: RealtimeCounts = { connections: 0, rooms: 0, members: 0, lagging: 0, historyBytes: 0 };

/** Counts frames of one type. */
export function count({ messages, bytes }: Traffic, frames: number, size: number): void {
  messages.value += frames;
  bytes.value += frames * size;
}

function byName<K extends string, V>(names: readonly K[], make: (name: K) => V): Readonly<Record<K, V>> {
  return Object.fromEntries(names.map(name => [name, make(name)])) as Record<K, V>;
}
