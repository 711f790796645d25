import { formatPath, type Path } from "./path.js";
import type { Config } from "./schema.js";

const secretive = /secret|passw|token|credential|private|api_?key|^key$/i;
const redacted = "[redacted]";
/** `user:password@` of a URL. */
const userInfo = /^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i;

/**
 * The configuration as an operator may see it: a copy, in which every value that came from the environment or a
 * file (`secrets`, from `LoadedConfig`) and every value under a key that sounds like a secret is `[redacted]`, and so
 * are the credentials in a URL.
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
  // What a rate limit counts by is called its key, too.
  const secret = secretive.test(String(key)) && !(path[0] === "rate_limits" && key === "key");
  if (secret || secrets.has(formatPath(path))) return redacted;
  return typeof value === "string" ? value.replace(userInfo, `$1${redacted}@`) : value;
}
