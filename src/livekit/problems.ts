import type { Diagnostic, Position } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/path.js";

/** Collects what is wrong with the section `livekit` where only descriptors or templates can tell. */
export class Problems {
  readonly diagnostics: Diagnostic[] = [];
  readonly #locate: (path: Path) => Position;

  /** @param locate where a node of the configuration stands */
  constructor(locate: (path: Path) => Position) {
    this.#locate = locate;
  }

  error(path: Path, message: string, suggestion?: string): undefined {
    this.#add("error", path, message, suggestion);
  }

  warning(path: Path, message: string): undefined {
    this.#add("warning", path, message, undefined);
  }

  #add(severity: Diagnostic["severity"], path: Path, message: string, suggestion: string | undefined): void {
    this.diagnostics.push({
      severity,
      message,
      position: this.#locate(path),
      path: formatPath(path),
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }
}
