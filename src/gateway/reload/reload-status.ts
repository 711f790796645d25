import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { formatPath, type Path } from "../../config/diagnostic.js";
import { redact } from "../../config/redaction.js";
import type { UsableConfig } from "../read-config.js";

/** The cause of a reload: SIGHUP, a changed file, or `POST /reload`. */
export type ReloadTrigger = "signal" | "watch" | "admin";

/** How a reload went, as operators read it. */
export interface ReloadReport {
  /** ISO 8601. */
  readonly at: string;
  readonly trigger: ReloadTrigger;
  readonly result: "success" | "failure";
  /** Of a failure: every problem, a line each. */
  readonly error?: string;
  /** Settings that differ from the configuration before, by path; at most 100. */
  readonly changed: readonly string[];
  readonly routes_added: readonly string[];
  readonly routes_removed: readonly string[];
}

/** Which configuration serves. */
export interface ConfigState {
  /** SHA-256 of the configuration without its secrets, in hexadecimal digits: the same on every gateway that has it. */
  readonly hash: string;
  /** ISO 8601. */
  readonly loaded_at: string;
  /** Settings that take effect only after a restart. */
  readonly needs_restart: readonly string[];
}

/** The configuration that serves, and how it came to be. */
export interface ConfigStatus extends ConfigState {
  readonly last_reload: ReloadReport | null;
  /** As operators see it: without secrets. */
  readonly config: unknown;
}

const maxPaths = 100;

/** @param shown the configuration as operators see it */
function configHash(shown: unknown): string {
  return createHash("sha256").update(JSON.stringify(shown)).digest("hex");
}

const hashes = new WeakMap<UsableConfig, string>();

/** Computed once: workers, reloads and metrics use it again and again. */
export function hashOf(loaded: UsableConfig): string {
  const hash = hashes.get(loaded) ?? configHash(redact(loaded.config, loaded.secrets));
  hashes.set(loaded, hash);
  return hash;
}

/** The paths of the settings that differ, the outermost one where one side has nothing there; at most 100. */
export function changedSettings(before: unknown, after: unknown): string[] {
  const paths: string[] = [];
  compare(before, after, [], paths);
  return paths;
}

function compare(before: unknown, after: unknown, path: Path, paths: string[]): void {
  if (paths.length === maxPaths || isDeepStrictEqual(before, after)) return;
  const isList = Array.isArray(before);
  const alike = isList === Array.isArray(after) && (!isList || before.length === (after as unknown[]).length);
  if (!alike || !isTree(before) || !isTree(after)) {
    paths.push(formatPath(path));
    return;
  }
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const step = isList ? Number(key) : key;
    compare(before[key], after[key], [...path, step], paths);
  }
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** The members of one list that another lacks; at most 100. */
export function missingFrom(other: ReadonlySet<string>, all: ReadonlySet<string>): string[] {
  return [...all].filter(each => !other.has(each)).slice(0, maxPaths);
}
