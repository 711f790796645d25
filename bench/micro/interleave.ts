import { operationBytes, operationCpu } from "../metric.js";
import { AllocationCounter } from "../process/gc-allocation.js";
import { type Comparison, compare, type Row } from "../row.js";

/** Does one operation; what it gives keeps the work from being optimized away. */
export type Operation = () => unknown;

export interface Rounds {
  readonly pairs: number;
  /** CPU milliseconds of a round, about. */
  readonly milliseconds: number;
}

interface Cost {
  readonly microseconds: number;
  readonly bytes: number;
}

/** Quick and full rounds of the micro-benchmarks. */
export function microRounds(quick: boolean): Rounds {
  return quick ? { pairs: 5, milliseconds: 120 } : { pairs: 15, milliseconds: 400 };
}

/** Both operations in turn, in this process: CPU time of all its threads and bytes allocated, per operation. */
export function interleave(
  comparison: Comparison,
  subject: Operation,
  baseline: Operation,
  { pairs, milliseconds }: Rounds,
): Row[] {
  const counter = new AllocationCounter();
  const counts = [subject, baseline].map(operation => calibrate(operation, milliseconds)) as [number, number];
  const costs = { subject: [] as Cost[], baseline: [] as Cost[] };
  for (let pair = 0; pair < pairs; pair += 1) {
    costs.subject.push(measure(subject, counts[0], counter));
    costs.baseline.push(measure(baseline, counts[1], counter));
  }
  const of = (metric: keyof Cost) =>
    [costs.subject.map(c => c[metric]), costs.baseline.map(c => c[metric])] as const;
  return [
    compare(comparison, operationCpu, ...of("microseconds")),
    compare(comparison, operationBytes, ...of("bytes")),
  ].filter(row => row !== undefined);
}

/** Holds the last result, so that no operation is found to be without effect. */
const sink: { last: unknown } = { last: undefined };

function repeat(operation: Operation, count: number): void {
  for (let index = 0; index < count; index += 1) sink.last = operation();
}

function measure(operation: Operation, count: number, counter: AllocationCounter): Cost {
  const allocated = counter.total();
  const before = process.cpuUsage();
  repeat(operation, count);
  const { user, system } = process.cpuUsage(before);
  return { microseconds: (user + system) / count, bytes: (counter.total() - allocated) / count };
}

/** How often an operation fits into a round once it is warm. */
function calibrate(operation: Operation, milliseconds: number): number {
  let count = 1;
  for (;;) {
    const before = process.cpuUsage();
    repeat(operation, count);
    const { user, system } = process.cpuUsage(before);
    const spent = (user + system) / 1000;
    if (spent >= milliseconds) return Math.max(1, Math.round((count * milliseconds) / spent));
    count *= 2;
  }
}
