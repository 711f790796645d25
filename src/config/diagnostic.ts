/** A position in a file that a person can open. Line and column start at 1; 0 means that the position is unknown. */
export interface FilePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One problem found while loading, with a message that shows how to fix it. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** The found and the expected value, in one sentence without a final full stop. */
  readonly message: string;
  /** Where it was found. Absent only where no file is to blame (a failed connection, for example). */
  readonly position?: FilePosition;
  /** YAML path such as `upstreams.chat.targets[0]`, or the full name of a descriptor such as `pkg.Service.Method`. */
  readonly path?: string;
  /** The nearest valid name, where a name was unknown. */
  readonly suggestion?: string;
}

/** Thrown when loading cannot go on; carries every problem found so far, at least one of them an error. */
export class LoadError extends Error {
  override readonly name = "LoadError";
  /** @param files the files that were read, or were to be, where known */
  constructor(
    readonly diagnostics: readonly Diagnostic[],
    readonly files: ReadonlySet<string> = new Set(),
  ) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
  }
}

/** `file:line:column: error: message (at path); did you mean "x"?` */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { severity, message, position, path, suggestion } = diagnostic;
  const where = position === undefined ? "" : `${formatPosition(position)}: `;
  const at = path === undefined || path === "" ? "" : ` (at ${path})`;
  const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return `${where}${severity}: ${message}${at}${hint}`;
}

/** `file`, `file:line` or `file:line:column`, as much as is known. */
export function formatPosition({ file, line, column }: FilePosition): string {
  if (line === 0) return file;
  return column === 0 ? `${file}:${line}` : `${file}:${line}:${column}`;
}

/** The way from the root of a YAML document to a node: keys and list indexes. */
export type Path = readonly (string | number)[];

/** `services[0].methods.GetArticles`; keys that are not plain words are quoted, `upstreams["a b"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "may not be read by this user",
  EPERM: "may not be read by this user",
  EISDIR: "is a folder",
  ENAMETOOLONG: "has too long a name",
  ELOOP: "is a circle of symbolic links",
};

/** Why the file system refused, to follow the name of the file: `does not exist`. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return reasons[code] ?? `cannot be read${code === "" ? "" : ` (${code})`}`;
}
