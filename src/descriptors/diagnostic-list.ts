import type { Diagnostic } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Steps } from "../net/pace.js";

const maxDiagnostics = 1000;
const maxSuggestions = 20;
const namesPerStep = 100;

/** A diagnostic whose suggestion is still to be found. */
interface Search {
  readonly index: number;
  readonly misspelled: string;
  readonly candidates: Iterable<string>;
}

/** Collects diagnostics. Searching for the nearest of many names is slow, so only the first problems get one. */
export class DiagnosticList {
  readonly diagnostics: Diagnostic[] = [];
  errors = 0;
  readonly #searches: Search[] = [];

  /** Whether further diagnostics are only counted. */
  get full(): boolean {
    return this.diagnostics.length >= maxDiagnostics;
  }

  error(diagnostic: Omit<Diagnostic, "severity">, candidates?: Iterable<string>, misspelled?: string): void {
    this.errors++;
    this.#add({ severity: "error", ...diagnostic }, candidates, misspelled);
  }

  warning(
    diagnostic: Omit<Diagnostic, "severity">,
    candidates?: Iterable<string>,
    misspelled?: string,
  ): void {
    this.#add({ severity: "warning", ...diagnostic }, candidates, misspelled);
  }

  /** Finds the suggestions of all diagnostics that have candidates. */
  *suggest(): Steps {
    for (const { index, misspelled, candidates } of this.#searches.splice(0)) {
      const suggestion = yield* nearestInSteps(misspelled, candidates);
      if (suggestion !== undefined) this.diagnostics[index] = { ...this.diagnostics[index]!, suggestion };
    }
  }

  #add(diagnostic: Diagnostic, candidates: Iterable<string> = [], misspelled = ""): void {
    if (this.full) return;
    if (misspelled !== "" && this.#searches.length < maxSuggestions)
      this.#searches.push({ index: this.diagnostics.length, misspelled: misspelled, candidates });
    this.diagnostics.push(diagnostic);
  }
}

function* nearestInSteps(misspelled: string, candidates: Iterable<string>): Steps<string | undefined> {
  const best: string[] = [];
  let names: string[] = [];
  const search = () => {
    const found = nearest(misspelled, names);
    if (found !== undefined) best.push(found);
    names = [];
  };
  for (const name of candidates) {
    names.push(name);
    if (names.length < namesPerStep) continue;
    search();
    yield namesPerStep;
  }
  search();
  return nearest(misspelled, best);
}
