import { isUtf8 } from "node:buffer";
import { resolve } from "node:path";
import { readBoundedSync } from "../net/files.js";
import { fileProblem } from "./diagnostic.js";

/** Where the values of substitutions come from. */
export interface SubstitutionScope {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths of `${file:...}` start from. */
  readonly folder: string;
  /** Called with the absolute path of each file that is read. */
  reads?(file: string): void;
}

export interface Substitution {
  readonly text: string;
  /** True where some part came from the environment or a file; defaults are no secrets. */
  readonly secret: boolean;
  /** The failed substitutions with their reasons; empty on success. */
  readonly problems: readonly string[];
}

const fileLimit = 64 * 1024;
const forms = `expected \${NAME}, \${NAME:-default} or \${file:/path}, or $\${ for a literal \${`;

/** True where `substitute` would change the text. */
export function hasSubstitution(text: string): boolean {
  return text.includes("${");
}

/**
 * Replaces `${NAME}` (the environment), `${NAME:-default}` (the default where NAME is unset or empty, as in a
 * shell) and `${file:/path}` (a file of up to 64 KiB, newlines at its end left out); `$${` is a literal `${`.
 * Substituted text is not substituted again.
 */
export function substitute(text: string, scope: SubstitutionScope): Substitution {
  const problems: string[] = [];
  let secret = false;
  const replaced = text.replace(/\$?\$\{([^}]*)(\}?)/g, (whole: string, inner: string, close: string) => {
    if (whole.startsWith("$$")) return whole.slice(1);
    if (inner.startsWith("file:") && close !== "") {
      secret = true;
      return readSecret(inner.slice(5), scope, problems);
    }
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? [];
    if (name === undefined || close === "") {
      problems.push(`"${whole}" is not a substitution; ${forms}`);
      return "";
    }
    const value = Object.hasOwn(scope.env, name) ? scope.env[name] : undefined;
    if (value !== undefined && (value !== "" || fallback === undefined)) {
      secret = true;
      return value;
    }
    if (fallback === undefined) {
      problems.push(`the environment variable ${name} is not set and "${whole}" gives no default`);
    }
    return fallback ?? "";
  });
  return { text: replaced, secret, problems };
}

function readSecret(path: string, { folder, reads }: SubstitutionScope, problems: string[]): string {
  const file = resolve(folder, path);
  reads?.(file);
  try {
    const bytes = readBoundedSync(file, fileLimit);
    if (bytes !== undefined && isUtf8(bytes)) return bytes.toString().replace(/[\r\n]+$/, "");
    const expected = bytes === undefined ? "a file of at most 64KiB" : "UTF-8 text";
    problems.push(`"${file}" cannot be substituted; expected ${expected}`);
  } catch (error) {
    problems.push(`"${file}" cannot be substituted; it ${fileProblem(error)}`);
  }
  return "";
}
