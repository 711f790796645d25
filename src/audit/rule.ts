import type { FilePosition, Path } from "../config/diagnostic.js";
import type { Compiled } from "../gateway/compile.js";
import type { GatewayConfig } from "../gateway/config.js";

/** From findings that an attacker can use today to minor ones. */
export const severities = ["high", "medium", "low"] as const;
export type Severity = (typeof severities)[number];

/** A setting that is valid and risky. */
export interface Risk {
  readonly severity: Severity;
  /** Name of the rule, for tools that count or ignore. */
  readonly rule: string;
  /** Path of the setting in the configuration. */
  readonly path: string;
  readonly position: FilePosition;
  /** The risk, and the configuration to write instead. */
  readonly message: string;
}

/** The input of an audit. */
export type Audited = Pick<Compiled, "loaded" | "model" | "routes" | "builtIn">;

export type Report = (severity: Severity, rule: string, path: Path, message: string) => unknown;
export type Rule = (config: GatewayConfig, report: Report, audited: Audited) => void;

/** Names that a message lists at most. */
const shown = 3;

export function list(names: readonly string[]): string {
  const more = names.length - shown;
  return `${names.slice(0, shown).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
