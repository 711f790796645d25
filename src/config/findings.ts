import type { Diagnostic, FilePosition } from "./diagnostic.js";
import { formatPath, type Path } from "./diagnostic.js";
import { redactUrl } from "./redaction.js";
import type { Positions } from "./source.js";

const limit = 1000;

/** Collects the problems of a file, or of several that make one configuration, in any order. */
export class Findings {
  readonly #found: Diagnostic[] = [];
  /** Source text by path of the values that hold something from the environment or a file. */
  readonly #secrets = new Map<string, string | undefined>();
  readonly #kept = new Set<string>();
  #left = 0;

  constructor(readonly source: Positions) {}

  /** Adds an error at the node that `path` leads to, or at `position`. */
  error(
    path: Path,
    message: string,
    more: { position?: FilePosition; suggestion?: string | undefined } = {},
  ): void {
    this.#add("error", path, message, more);
  }

  /** Adds a problem that was found elsewhere. */
  add(diagnostic: Diagnostic): void {
    this.#found.push(diagnostic);
  }

  /** Adds a problem that does not keep the configuration from being used. */
  warning(path: Path, message: string): void {
    this.#add("warning", path, message, {});
  }

  #add(
    severity: Diagnostic["severity"],
    path: Path,
    message: string,
    more: { position?: FilePosition; suggestion?: string | undefined },
  ): void {
    if (this.#found.length === limit) {
      this.#left++;
      return;
    }
    const { position = this.source.locate(path), suggestion = this.source.suggestionFor?.(path) } = more;
    const at = formatPath(path);
    this.#found.push({
      severity,
      message,
      position,
      ...(at === "" ? {} : { path: at }),
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }

  /**
   * Remembers that the value at `path` must not be shown.
   * @param written the text of the file instead; undefined where it has the value itself
   * @param from operators of a running gateway, or `always`, that is, by messages as well
   */
  keepSecret(path: Path, written: string | undefined, from: "operators" | "always"): void {
    const at = formatPath(path);
    this.#kept.add(at);
    if (from === "always" && !this.#secrets.has(at)) this.#secrets.set(at, written);
  }

  isSecret(path: Path): boolean {
    return this.#secrets.has(formatPath(path));
  }

  /** Paths of the secrets whose values are in the files themselves. */
  get literalSecrets(): ReadonlySet<string> {
    const literal = [...this.#secrets].filter(([, written]) => written === undefined);
    return new Set(literal.map(([path]) => path));
  }

  get secrets(): ReadonlySet<string> {
    return this.#kept;
  }

  /** The value as a message may show it: quoted and shortened, and never a secret. */
  show(path: Path, value: string | number | boolean | null): string {
    const at = formatPath(path);
    const written = this.#secrets.get(at);
    if (written !== undefined) return `the value of "${shortened(written)}"`;
    if (value === null) return "nothing";
    if (this.#secrets.has(at)) return value === "" ? '""' : "a value that is not shown";
    return typeof value === "string" ? `"${shortened(redactUrl(value))}"` : String(value);
  }

  /** All problems in the order of the files; at most a thousand and a count of those left out. */
  get diagnostics(): readonly Diagnostic[] {
    const files = new Map(this.source.files.map((file, index) => [file, index]));
    const rank = ({ position }: Diagnostic): number => files.get(position?.file ?? "") ?? 0;
    const sorted = this.#found.toSorted(
      (a, b) =>
        rank(a) - rank(b) ||
        (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
        (a.position?.column ?? 0) - (b.position?.column ?? 0),
    );
    if (this.#left === 0) return sorted;
    return [...sorted, { severity: "error", message: `${this.#left} more problems are not shown` }];
  }
}

function shortened(text: string): string {
  const line = text.replace(/\p{Cc}/gu, " ");
  return line.length <= 80 ? line : `${line.slice(0, 77)}...`;
}
