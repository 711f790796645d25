import { encodeText } from "./percent.js";

/** One segment of a template. Literals are stored decoded. */
export type Segment =
  | { readonly kind: "literal"; readonly value: string }
  /** `*`: exactly one segment that is not empty. */
  | { readonly kind: "single" }
  /** `**`: any number of segments, none included. */
  | { readonly kind: "multi" };

export interface TemplateVariable {
  /** Field path, `["message", "id"]` for `{message.id}`. */
  readonly path: readonly string[];
  /** Index of the first segment that the variable covers. */
  readonly start: number;
  /** Index after the last one. */
  readonly end: number;
  /** False where exactly one segment is covered and it is not `**`: only then `%2F` is decoded in the value. */
  readonly multi: boolean;
  /** Text after the `=`; `*` where there is none. */
  readonly pattern: string;
}

export interface Template {
  readonly text: string;
  readonly segments: readonly Segment[];
  /** In the order of the text. */
  readonly variables: readonly TemplateVariable[];
  /** Decoded, without the colon. */
  readonly verb: string | undefined;
}

/** A template that breaks the grammar. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  /** @param offset index into the template's text, from 0; its length where more text was expected */
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

export const templateLimits = { length: 4096, segments: 128, variables: 64 } as const;

/** Equal for two templates exactly when they match the same paths: the names of variables do not count. */
export function equivalenceKey(template: Template): string {
  const segments = template.segments.map(segmentText).join("/");
  return template.verb === undefined ? `/${segments}` : `/${segments}:${encodeText(template.verb)}`;
}

/** A segment as a template would write it. */
export function segmentText(segment: Segment): string {
  switch (segment.kind) {
    case "literal":
      return encodeText(segment.value);
    case "single":
      return "*";
    case "multi":
      return "**";
  }
}
