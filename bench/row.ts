import type { Metric } from "./metric.js";

/** One metric of one subject beside one baseline: what `--json` writes. */
export interface Row {
  readonly group: string;
  readonly workload: string;
  readonly subject: string;
  readonly baseline: string;
  readonly metric: string;
  /** Median of the subject's rounds. */
  readonly value: number;
  /** Median of the baseline's rounds. */
  readonly baseline_value: number;
  /** Median over the pairs of rounds; above 1 the subject is better. */
  readonly ratio: number;
  /** The least and the greatest ratio of a pair. */
  readonly spread: readonly [number, number];
}

/** Which two things are compared, and in what. */
export type Comparison = Pick<Row, "group" | "workload" | "subject" | "baseline">;

/**
 * Compares rounds that ran in turn: the first of each list one after the other, then the second, and so on. Pairs
 * in which either was not measured or is 0 are left out.
 * @returns undefined where no pair is left
 */
export function compare(
  comparison: Comparison,
  metric: Metric,
  subject: readonly (number | undefined)[],
  baseline: readonly (number | undefined)[],
): Row | undefined {
  const values: number[] = [];
  const baselineValues: number[] = [];
  const ratios: number[] = [];
  for (const [index, value] of subject.entries()) {
    const other = baseline[index];
    if (!isMeasured(value) || !isMeasured(other)) continue;
    values.push(value);
    baselineValues.push(other);
    ratios.push(metric.better === "higher" ? value / other : other / value);
  }
  if (ratios.length === 0) return undefined;
  const { group, workload, subject: name, baseline: baselineName } = comparison;
  return {
    group,
    workload,
    subject: name,
    baseline: baselineName,
    metric: metric.name,
    value: medianOf(values),
    baseline_value: medianOf(baselineValues),
    ratio: medianOf(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
  };
}

/** The middle value, or the mean of the two middle ones; of at least one number. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

function isMeasured(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value > 0;
}
