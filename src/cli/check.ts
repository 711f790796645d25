import type { ConfigInput } from "../config/compose.js";
import { type Diagnostic, formatDiagnostic, LoadError } from "../config/diagnostic.js";
import type { Compiled } from "../gateway/compile.js";
import { readArguments } from "./arguments.js";
import { load } from "./load.js";

/**
 * Reports every problem of a configuration. Exit code 0 without errors, warnings or not; else 1. Under `--strict`
 * a warning is enough for 1.
 */
export async function check(args: readonly string[]): Promise<number> {
  const { config, json, strict } = readArguments(args, { options: ["config", "json", "strict"] });
  const { diagnostics, compiled } = await tryLoad(config);
  const ok = compiled !== undefined && !(strict && diagnostics.length > 0);
  if (json) {
    const routes = compiled === undefined ? 0 : routesOf(compiled);
    process.stdout.write(`${JSON.stringify({ ok, routes, diagnostics }, null, 2)}\n`);
  } else {
    for (const diagnostic of diagnostics) process.stdout.write(`${formatDiagnostic(diagnostic)}\n`);
    process.stdout.write(`${config.files.join(", ")}: ${summary(diagnostics, compiled, ok)}\n`);
  }
  return ok ? 0 : 1;
}

async function tryLoad(
  config: ConfigInput,
): Promise<{ diagnostics: readonly Diagnostic[]; compiled: Compiled | undefined }> {
  try {
    const compiled = await load(config);
    return { diagnostics: compiled.diagnostics, compiled };
  } catch (error) {
    if (error instanceof LoadError) return { diagnostics: error.diagnostics, compiled: undefined };
    throw error;
  }
}

function summary(diagnostics: readonly Diagnostic[], compiled: Compiled | undefined, ok: boolean): string {
  const count = (severity: Diagnostic["severity"]): number =>
    diagnostics.filter(diagnostic => diagnostic.severity === severity).length;
  const warnings = count("warning");
  const warned = warnings === 0 ? "" : `, ${plural(warnings, "warning")}`;
  if (compiled === undefined) return `${plural(count("error"), "error")}${warned}`;
  return `${ok ? "ok" : "refused by --strict"}, ${plural(routesOf(compiled), "route")}${warned}`;
}

function routesOf({ routes, builtIn: own }: Compiled): number {
  return routes.length + own.length;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
