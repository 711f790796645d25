import type { Metric, Registry } from "prom-client";

/**
 * Counters and histograms of events of each request, whose children are plain numbers. prom-client builds a string
 * of all labels for every observation; here a child is looked up once, when a route or method is first used, and costs
 * an addition afterwards.
 *
 * There is one registry, prom-client's, and it prints everything. Which of the two a metric is:
 * observed for each request, call or message: a Series;
 * set rarely, or read at the scrape (gauges, reloads, the process): prom-client's Gauge or Counter.
 */

type Labels = Readonly<Record<string, string>>;

/** One observation of a histogram, by which the trace of a slow request is found. */
export interface Exemplar {
  readonly labelSet: Readonly<{ trace_id: string }>;
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}

export class CounterChild {
  value = 0;
  constructor(readonly labels: Labels) {}

  inc(): void {
    this.value++;
  }
}

export class HistogramChild {
  /** One for each bound, not cumulative; values above the last bound are in `count` alone. */
  readonly buckets: number[];
  /** The latest of each bucket, that above the last bound included; undefined until there is one. */
  exemplars: (Exemplar | undefined)[] | undefined;
  sum = 0;
  count = 0;

  constructor(
    readonly labels: Labels,
    readonly bounds: readonly number[],
  ) {
    this.buckets = bounds.map(() => 0);
  }

  /** @param traceId of the observed request, where its trace is recorded */
  observe(value: number, traceId?: string): void {
    this.sum += value;
    this.count++;
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    if (i < bounds.length) this.buckets[i]!++;
    if (traceId === undefined) return;
    this.exemplars ??= [];
    this.exemplars[i] = { labelSet: { trace_id: traceId }, value, timestamp: Date.now() / 1000 };
  }
}

abstract class Series<Child extends { readonly labels: Labels }> {
  readonly #children = new Map<string, Child>();

  constructor(
    registry: Registry,
    readonly name: string,
    readonly help: string,
    readonly type: "counter" | "histogram",
    readonly labelNames: readonly string[],
  ) {
    // The registry uses only the name and get() of a metric; its type names its own classes only.
    registry.registerMetric(this as unknown as Metric);
  }

  /** The child with these label values, in the order of the label names; made at the first call. */
  child(...values: readonly string[]): Child {
    const key = JSON.stringify(values);
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.create(Object.fromEntries(this.labelNames.map((name, i) => [name, values[i] ?? ""])));
      this.#children.set(key, child);
    }
    return child;
  }

  /** The samples that prom-client's registry prints at a scrape. */
  async get(): Promise<{ name: string; help: string; type: string; aggregator: "sum"; values: Sample[] }> {
    const values = [...this.#children.values()].flatMap(child => this.samples(child));
    return { name: this.name, help: this.help, type: this.type, aggregator: "sum", values };
  }

  reset(): void {
    this.#children.clear();
  }

  protected abstract create(labels: Labels): Child;
  protected abstract samples(child: Child): Sample[];
}

export class CounterSeries extends Series<CounterChild> {
  constructor(registry: Registry, name: string, help: string, labelNames: readonly string[]) {
    super(registry, name, help, "counter", labelNames);
  }

  protected override create(labels: Labels): CounterChild {
    return new CounterChild(labels);
  }

  protected override samples({ labels, value }: CounterChild): Sample[] {
    return [{ metricName: this.name, labels, value }];
  }
}

export class HistogramSeries extends Series<HistogramChild> {
  /** @param bounds upper bounds of the buckets, ascending, without infinity */
  constructor(
    registry: Registry,
    name: string,
    help: string,
    labelNames: readonly string[],
    readonly bounds: readonly number[],
  ) {
    super(registry, name, help, "histogram", labelNames);
  }

  protected override create(labels: Labels): HistogramChild {
    return new HistogramChild(labels, this.bounds);
  }

  protected override samples({ labels, buckets, exemplars = [], sum, count }: HistogramChild): Sample[] {
    let below = 0;
    const samples: Sample[] = this.bounds.map((bound, i) => {
      below += buckets[i]!;
      const sample = { metricName: `${this.name}_bucket`, labels: { ...labels, le: bound }, value: below };
      return exemplars[i] === undefined ? sample : { ...sample, exemplar: exemplars[i] };
    });
    samples.push(
      {
        metricName: `${this.name}_bucket`,
        labels: { ...labels, le: "+Inf" },
        value: count,
        exemplar: exemplars[this.bounds.length],
      },
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    );
    return samples;
  }
}
