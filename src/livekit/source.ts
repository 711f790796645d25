import { claimAt, plainText } from "../auth/claims.js";
import type { Identity } from "../auth/identity.js";
import type { Path } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Template } from "../routing/template.js";
import type { TokenInput } from "./input.js";
import type { LiveKitProblems } from "./parts.js";
import { type LiveKitSource, parseSource } from "./value-source.js";

/** One part of a token, ready to be read from a request. */
export interface TokenSource {
  readonly kind: LiveKitSource["kind"];
  /** The field, the variable or the parameter that the client would have to change; else the part itself. */
  readonly field: string;
  /** Undefined where the request has none. */
  read(input: TokenInput): string | undefined;
}

/**
 * @param part the part of the token that it is for, `room`
 * @param text as in the configuration
 * @param template undefined where it breaks the grammar, which others report
 */
export function compileSource(
  part: string,
  text: string,
  template: Template | undefined,
  at: Path,
  problems: LiveKitProblems,
): TokenSource {
  // Loading has checked the form.
  const source = parseSource(text) ?? { kind: "literal", name: text };
  switch (source.kind) {
    case "subject":
      return { kind: source.kind, field: part, read: input => input.identity?.subject };
    case "body":
      return { kind: source.kind, field: source.name, read: input => input.body.get(source.name) };
    case "query":
      return { kind: source.kind, field: source.name, read: input => input.query.get(source.name) };
    case "literal":
      return { kind: source.kind, field: part, read: () => source.name };
    case "claim":
      return {
        kind: source.kind,
        field: part,
        read: input => claimText(input.identity, source.name),
      };
    case "path": {
      const names = template?.variables.map(variable => variable.path.join(".")) ?? [];
      const index = names.indexOf(source.name);
      if (index < 0 && template !== undefined) {
        const known = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
        const message = `the template ${template.text} has no variable "${source.name}"; ${known}`;
        problems.error(at, message, nearest(source.name, names));
      }
      return { kind: source.kind, field: source.name, read: input => input.variables[index] };
    }
  }
}

/** The names that a list of sources takes from one kind of source. */
export function namesFrom(
  kind: "body" | "path" | "query",
  sources: readonly TokenSource[],
): ReadonlySet<string> {
  return new Set(sources.filter(source => source.kind === kind).map(source => source.field));
}

/** Undefined for missing claims. */
function claimText(identity: Identity | undefined, name: string): string | undefined {
  const claim = identity === undefined ? undefined : claimAt(identity.claims, name);
  return claim === undefined || claim === null ? undefined : plainText(claim);
}
