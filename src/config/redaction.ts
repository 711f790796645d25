import { formatPath, type Path } from "./path.js";
import type { Config } from "./schema.js";
import { shownUrl } from "./shown-url.js";

const redacted = "[redacted]";

/**
 * The configuration as an operator may see it: a copy, in which secrets (`secrets`, from `LoadedConfig`: what the schema
 * says is one, and every value that came from the environment or a file) are `[redacted]`, and so are the credentials
 * and queries of URLs.
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
  if (secrets.has(formatPath(path))) return redacted;
  return typeof value === "string" ? shownUrl(value) : value;
}
