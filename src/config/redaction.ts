import { formatPath, type Path } from "./path.js";
import type { Config } from "./schema.js";

const secretive = /secret|passw|token|credential|private|api_?key|^key$/i;
const redacted = "[redacted]";

/**
 * The configuration as an operator may see it: a copy, in which every value that came from the environment or a
 * file (`secrets`, from `LoadedConfig`) and every value under a key that sounds like a secret is `[redacted]`.
 */
export function redact(config: Config, secrets: ReadonlySet<string>): Readonly<Record<string, unknown>> {
  return copy(config, [], secrets) as Readonly<Record<string, unknown>>;
}

function copy(value: unknown, path: Path, secrets: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((item, index) => copy(item, [...path, index], secrets));
  if (typeof value === "object" && value !== null) {
    const shown: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) shown[key] = copy(item, [...path, key], secrets);
    return shown;
  }
  const key = path.findLast(step => typeof step === "string") ?? "";
  return secrets.has(formatPath(path)) || secretive.test(String(key)) ? redacted : value;
}
