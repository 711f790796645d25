import { decodeKeepingSlash, encodeText, hasDotSegment } from "../../src/routing/percent.js";
import {
  type Segment,
  segmentText,
  type Template,
  type TemplateVariable,
} from "../../src/routing/template.js";

/**
 * Builds the path that a template matches with these values: the inverse of matching. In single-segment
 * variables everything but `[-_.~0-9a-zA-Z]` is percent-encoded, in multi-segment ones `/` is kept too
 * (`google/api/http.proto`). Wildcards outside of variables stand for themselves.
 * @param values decoded values, one for each of `template.variables`
 * @throws RangeError where the number of values is wrong or one does not fit its variable's pattern
 */
export function expandTemplate(template: Template, values: readonly string[]): string {
  const { segments, variables, verb } = template;
  if (values.length !== variables.length) {
    throw new RangeError(`${template.text} takes ${variables.length} values, got ${values.length}`);
  }
  const parts: string[] = [];
  let next = 0;
  for (const [index, variable] of variables.entries()) {
    for (; next < variable.start; next += 1) parts.push(segmentText(segments[next] as Segment));
    parts.push(...expandVariable(template, variable, values[index] as string));
    next = variable.end;
  }
  for (; next < segments.length; next += 1) parts.push(segmentText(segments[next] as Segment));
  const path = `/${parts.join("/")}`;
  return verb === undefined ? path : `${path}:${encodeText(verb)}`;
}

function expandVariable(template: Template, variable: TemplateVariable, value: string): string[] {
  const pattern = template.segments.slice(variable.start, variable.end);
  const parts = variable.multi ? splitValue(value) : [value];
  const wildcard = pattern.findIndex(segment => segment.kind === "multi");
  const spare = parts.length - pattern.length;
  const fits = wildcard < 0 ? spare === 0 : spare >= -1;
  if (!fits) throw misfit(variable, value);
  return parts.map((part, index) => {
    if (wildcard >= 0 && index >= wildcard && index <= wildcard + spare) return encodePart(variable, part);
    const segment = pattern[wildcard >= 0 && index >= wildcard ? index - spare : index] as Segment;
    if (segment.kind !== "literal") {
      if (part === "") throw misfit(variable, value);
      return encodePart(variable, part);
    }
    const encoded = encodeText(segment.value);
    const expected = variable.multi ? decodeKeepingSlash(encoded) : segment.value;
    if (part !== expected) throw misfit(variable, value);
    return encoded;
  });
}

function splitValue(value: string): string[] {
  return value === "" ? [] : value.split("/");
}

function encodePart(variable: TemplateVariable, part: string): string {
  if (hasDotSegment(part)) throw misfit(variable, part);
  try {
    return encodeText(part);
  } catch {
    throw new RangeError(`the value of ${variable.path.join(".")} holds a lone surrogate`);
  }
}

function misfit(variable: TemplateVariable, value: string): RangeError {
  return new RangeError(`"${value}" does not fit {${variable.path.join(".")}=${variable.pattern}}`);
}
