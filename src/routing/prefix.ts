import { TemplateError } from "./template.js";
import { parseTemplate } from "./template-parser.js";

/**
 * Puts a path prefix such as `/blog` before a template. `""` and `/` change nothing; a trailing slash of the
 * prefix is dropped. The template itself is not checked: parse the result.
 * @throws TemplateError where the prefix is not a path of literals
 */
export function prefixTemplate(prefix: string, text: string): string {
  const bare = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  if (bare === "") return text;
  const { segments, verb } = parseTemplate(bare);
  if (verb !== undefined || segments.some(segment => segment.kind !== "literal")) {
    throw new TemplateError("a prefix holds no wildcard, variable or verb", 0);
  }
  return text === "/" ? bare : bare + text;
}
