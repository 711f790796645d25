import type { Diagnostic } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";

const MAX_ERRORS = 1000;
const MAX_SUGGESTIONS = 20;

/** Collects diagnostics. Searching for the nearest of many names is slow, so only the first problems get one. */
export class Problems {
  readonly diagnostics: Diagnostic[] = [];
  errors = 0;
  #suggestions = 0;

  error(diagnostic: Omit<Diagnostic, "severity">, candidates?: Iterable<string>, wanted?: string): void {
    this.errors++;
    this.#add({ severity: "error", ...diagnostic }, candidates, wanted);
  }

  warning(diagnostic: Omit<Diagnostic, "severity">, candidates?: Iterable<string>, wanted?: string): void {
    this.#add({ severity: "warning", ...diagnostic }, candidates, wanted);
  }

  #add(diagnostic: Diagnostic, candidates: Iterable<string> = [], wanted = ""): void {
    if (this.diagnostics.length >= MAX_ERRORS) return;
    const suggestion = this.#suggest(wanted, candidates);
    this.diagnostics.push(suggestion === undefined ? diagnostic : { ...diagnostic, suggestion });
  }

  #suggest(wanted: string, candidates: Iterable<string>): string | undefined {
    if (wanted === "" || this.#suggestions >= MAX_SUGGESTIONS) return undefined;
    this.#suggestions++;
    return nearest(wanted, candidates);
  }
}
