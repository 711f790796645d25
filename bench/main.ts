import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Context } from "./group.js";
import { groups } from "./groups.js";
import * as metrics from "./metric.js";
import { OptionError, type Options, readOptions } from "./options.js";
import { Children } from "./process/children.js";
import { chooseCpus } from "./process/cpus.js";
import { formatFinding } from "./report.js";
import type { Row } from "./row.js";

const labels = new Map(Object.values(metrics).map(({ name, label }) => [name, label]));

async function run(options: Options, children: Children): Promise<void> {
  const cpus = chooseCpus();
  const print = (text: string): void => void process.stdout.write(text);
  const { quick, base } = options;
  const context: Context = { quick, base, cpus, children, note: line => print(`· ${line}\n`) };
  print(
    `node ${process.version}, ${availableParallelism()} CPUs, ${cpus.description}\n` +
      "Each baseline's ratio is the median over interleaved pairs of rounds [least–greatest]; above 1 the first column is better.\n\n",
  );
  const rows: Row[] = [];
  try {
    for (const group of groups.filter(({ name }) => options.groups.includes(name))) {
      print(`── ${group.name} ──\n${group.method.map(line => `${line}\n`).join("")}\n`);
      for await (const finding of group.run(context)) {
        rows.push(...finding.rows);
        print(formatFinding(finding, labels));
      }
      await children.stopAll();
    }
  } finally {
    // A run that fails keeps what it has measured.
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  }
}

const children = new Children();
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => void children.stopAll().finally(() => process.exit(code)));
}
try {
  await run(
    readOptions(
      process.argv.slice(2),
      groups.map(({ name }) => name),
      groups.filter(({ onRequest }) => !onRequest).map(({ name }) => name),
    ),
    children,
  );
} catch (error) {
  process.stderr.write(
    `bench: ${error instanceof OptionError ? error.message : String((error as Error).stack)}\n`,
  );
  process.exitCode = error instanceof OptionError ? 2 : 1;
} finally {
  await children.stopAll();
}
