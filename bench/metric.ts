/** Something that is measured on both sides of a comparison. */
export interface Metric {
  /** As in `Row.metric`; the unit is part of it. */
  readonly name: string;
  /** For people. */
  readonly label: string;
  readonly better: "higher" | "lower";
}

export const throughput: Metric = { name: "requests_per_second", label: "requests/s", better: "higher" };
export const requestCpu: Metric = { name: "cpu_us_per_request", label: "CPU µs/request", better: "lower" };
export const requestBytes: Metric = {
  name: "allocated_bytes_per_request",
  label: "allocated bytes/request",
  better: "lower",
};
/** All system calls, by strace. */
export const requestCalls: Metric = {
  name: "syscalls_per_request",
  label: "syscalls/request",
  better: "lower",
};
export const median: Metric = { name: "p50_us", label: "p50 µs", better: "lower" };
export const tail: Metric = { name: "p99_us", label: "p99 µs", better: "lower" };
/** Pauses of JavaScript for garbage collection. */
export const collection: Metric = { name: "gc_percent", label: "GC % of time", better: "lower" };
export const peakMemory: Metric = { name: "peak_rss_bytes", label: "peak RSS bytes", better: "lower" };
/** What is left of the JavaScript heap once all garbage is collected. */
export const heapMemory: Metric = { name: "heap_bytes", label: "heap bytes in use", better: "lower" };
export const residentBytes: Metric = { name: "rss_bytes", label: "RSS bytes", better: "lower" };
export const sockets: Metric = { name: "open_sockets", label: "open sockets", better: "lower" };
export const deliveriesPerCpu: Metric = {
  name: "deliveries_per_cpu_second",
  label: "deliveries/CPU s",
  better: "higher",
};
export const deliveriesPerSecond: Metric = {
  name: "deliveries_per_second",
  label: "deliveries/s",
  better: "higher",
};
/** Of streams: what all clients have got, by the CPU time of the server. */
export const messagesPerCpu: Metric = {
  name: "messages_per_cpu_second",
  label: "messages/CPU s",
  better: "higher",
};
/** The most that resident memory was above what it was before. */
export const grownMemory: Metric = { name: "grown_rss_bytes", label: "RSS growth bytes", better: "lower" };
/** RSS of the server for each connection that does nothing. */
export const idleConnection: Metric = {
  name: "idle_connection_bytes",
  label: "RSS bytes/connection",
  better: "lower",
};
/** Of sockets: what all clients have done, by the CPU time of the server. */
export const stepsPerCpu: Metric = {
  name: "steps_per_cpu_second",
  label: "steps/CPU s",
  better: "higher",
};
export const operationCpu: Metric = { name: "cpu_us_per_operation", label: "CPU µs/op", better: "lower" };
export const operationBytes: Metric = {
  name: "allocated_bytes_per_operation",
  label: "allocated bytes/op",
  better: "lower",
};
