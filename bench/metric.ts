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
/** read and write alone, as the kernel counts them for every process. */
export const requestTransfers: Metric = {
  name: "reads_writes_per_request",
  label: "reads+writes/request",
  better: "lower",
};
export const median: Metric = { name: "p50_us", label: "p50 µs", better: "lower" };
export const tail: Metric = { name: "p99_us", label: "p99 µs", better: "lower" };
export const peakMemory: Metric = { name: "peak_rss_bytes", label: "peak RSS bytes", better: "lower" };
export const operationCpu: Metric = { name: "cpu_us_per_operation", label: "CPU µs/op", better: "lower" };
export const operationBytes: Metric = {
  name: "allocated_bytes_per_operation",
  label: "allocated bytes/op",
  better: "lower",
};
