import { encodeText } from "./percent.js";
import type { Segment, Template } from "./template.js";

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
