import { nearest } from "../config/nearest.js";

const heads = ["body", "path", "query", "claim", "literal"] as const;

/** Where a value of a token comes from. */
export type LiveKitSource =
  | { readonly kind: "subject" }
  | { readonly kind: (typeof heads)[number]; readonly name: string };

/** The form of a source, to follow "expected". */
export const sourceExpectation =
  "body.<field>, path.<variable>, query.<parameter>, claim.<name>, subject or literal.<text>";

/** Reads `body.room`, `path.room`, `query.room`, `claim.room`, `subject` or `literal.lobby`; undefined: neither. */
export function parseSource(text: string): LiveKitSource | undefined {
  if (text === "subject") return { kind: "subject" };
  const dot = text.indexOf(".");
  const kind = heads.find(head => head === text.slice(0, Math.max(dot, 0)));
  const name = text.slice(dot + 1);
  return kind === undefined || name === "" ? undefined : { kind, name };
}

/** The most likely correction of a text that is no source. */
export function nearestSource(text: string): string | undefined {
  const dot = text.indexOf(".");
  if (dot < 0) return nearest(text, ["subject"]);
  const head = nearest(text.slice(0, dot), heads);
  return head === undefined || dot === text.length - 1 ? undefined : head + text.slice(dot);
}
