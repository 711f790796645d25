import { audit } from "../audit/audit.js";
import { type Risk, type Severity, severities } from "../audit/rule.js";
import { readArguments, UsageError } from "./arguments.js";
import { load } from "./load.js";

/** Lists settings that are valid and risky. Exit code 1 where one is as severe as `--fail-on`, by default `high`. */
export async function auditCommand(
  args: readonly string[],
  print: (text: string) => unknown = text => process.stdout.write(text),
): Promise<number> {
  const {
    config: input,
    json,
    failOn = "high",
  } = readArguments(args, { options: ["config", "json", "fail-on"] });
  const limit = severities.indexOf(failOn as Severity);
  if (limit < 0) throw new UsageError(`expected ${severities.join(", ")} after --fail-on, found "${failOn}"`);
  const risks = audit(await load(input));
  if (json) print(`${JSON.stringify({ risks }, null, 2)}\n`);
  else {
    for (const risk of risks) print(line(risk));
    print(`${input.files.join(", ")}: ${summary(risks)}\n`);
  }
  return risks.some(({ severity }) => severities.indexOf(severity) <= limit) ? 1 : 0;
}

function line({ severity, rule, path, position: { file, line, column }, message }: Risk): string {
  const where = line === 0 ? file : `${file}:${line}:${column}`;
  return `${where}: ${severity}: ${message} (${rule} at ${path})\n`;
}

function summary(risks: readonly Risk[]): string {
  const counts = severities.map(
    each => `${risks.filter(({ severity }) => severity === each).length} ${each}`,
  );
  return risks.length === 0 ? "no risky settings found" : counts.join(", ");
}
