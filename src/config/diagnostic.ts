/** A place in a file that a person can open. Line and column start at 1; 0 means that the place is unknown. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One problem found while loading, said so that a person knows what to do next. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** What was found and what was expected, in one sentence without a final full stop. */
  readonly message: string;
  /** Where it was found. Absent only where no file is to blame (a failed connection, for example). */
  readonly position?: Position;
  /** YAML path such as `upstreams.chat.targets[0]`, or the full name of a descriptor such as `pkg.Service.Method`. */
  readonly path?: string;
  /** The nearest valid name, where a name was unknown. */
  readonly suggestion?: string;
}

/** Thrown when loading cannot go on; carries every problem found so far, at least one of them an error. */
export class LoadError extends Error {
  override readonly name = "LoadError";
  constructor(readonly diagnostics: readonly Diagnostic[]) {
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
export function formatPosition({ file, line, column }: Position): string {
  if (line === 0) return file;
  return column === 0 ? `${file}:${line}` : `${file}:${line}:${column}`;
}
