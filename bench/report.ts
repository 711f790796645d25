import type { Finding } from "./group.js";
import type { Row } from "./row.js";

/**
 * A finding as text, a table for each subject: a line for each metric, a column for the subject and one for each
 * baseline with the ratio and its spread.
 */
export function formatFinding(
  { workload, rows, remarks }: Finding,
  labels: ReadonlyMap<string, string>,
): string {
  const lines = [workload];
  for (const subject of distinct(rows.map(row => row.subject))) {
    lines.push(
      ...formatTable(
        rows.filter(row => row.subject === subject),
        subject,
        labels,
      ),
    );
  }
  lines.push(...remarks.map(remark => `  ${remark}`));
  return `${lines.join("\n")}\n\n`;
}

function formatTable(rows: readonly Row[], subject: string, labels: ReadonlyMap<string, string>): string[] {
  const baselines = distinct(rows.map(row => row.baseline));
  const cells = [["", subject, ...baselines]];
  for (const metric of distinct(rows.map(row => row.metric))) {
    const own = rows.filter(row => row.metric === metric);
    const line = [labels.get(metric) ?? metric, formatNumber(own[0]?.value ?? Number.NaN)];
    for (const baseline of baselines) {
      const row = own.find(each => each.baseline === baseline);
      line.push(row === undefined ? "–" : formatBaseline(row));
    }
    cells.push(line);
  }
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map(line => line[column]?.length ?? 0))) ?? [];
  return cells.map(line =>
    `  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("   ")}`.trimEnd(),
  );
}

function formatBaseline({ baseline_value, ratio, spread }: Row): string {
  return `${formatNumber(baseline_value)}  ×${formatRatio(ratio)} [${spread.map(formatRatio).join("–")}]`;
}

function formatRatio(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
}

function formatNumber(value: number): string {
  if (value >= 1_000_000) return `${(value / 2 ** 20).toFixed(1)} Mi`;
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toPrecision(3);
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}
