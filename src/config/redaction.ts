import { formatPath, type Path } from "./diagnostic.js";

const redacted = "[redacted]";

/**
 * The configuration as an operator may see it: a copy, in which secrets (`secrets`, from `LoadedConfig`: those of the
 * schema, and every value that came from the environment or a file) are `[redacted]`, and so are the credentials
 * and queries of URLs.
 */
export function redact(config: object, secrets: ReadonlySet<string>): Readonly<Record<string, unknown>> {
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
  return typeof value === "string" ? redactUrl(value) : value;
}

/** `user:password@`, up to the last `@` before a path: a password may have one as well. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^/\s]*@/gi;
/** A query or a fragment, where keys and signatures are handed over. */
const tail = /([?#]).*$/s;

/** A text as people may see it: credentials of URLs in it are left out, of each where it lists several. */
export function redactUrl(text: string): string {
  const scheme = text.indexOf("://");
  if (scheme < 0) return text;
  return text.replace(userInfo, `$1${redacted}@`).replace(tail, `$1${redacted}`);
}
