import { decodeText, describeBadEscape, encodeText, hasDotSegment } from "./percent.js";
import {
  type Segment,
  type Template,
  TemplateError,
  type TemplateVariable,
  templateLimits,
} from "./template.js";

/**
 * Parses a path template by the grammar of `google/api/http.proto`:
 *
 *     Template = "/" Segments [ Verb ] ;          Segments  = Segment { "/" Segment } ;
 *     Segment  = "*" | "**" | LITERAL | Variable ; Variable = "{" FieldPath [ "=" Segments ] "}" ;
 *     FieldPath = IDENT { "." IDENT } ;           Verb      = ":" LITERAL ;
 *
 * with two extensions: `/` alone is the root, and `**` may be followed by literals and `*`, as published in
 * googleapis (`bots.proto`). A literal is made of the `pchar` of RFC 3986 without `:` and `*`.
 * @param parts parts shared with templates that were parsed before, for a large API
 * @throws TemplateError
 */
export function parseTemplate(text: string, parts?: TemplateParts): Template {
  return new Parser(text, parts).parse();
}

/** The literals, patterns and field paths of many templates, each kept once: those of one API repeat a few. */
export class TemplateParts {
  readonly #literals = new Map<string, Segment>();
  readonly #texts = new Map<string, string>();
  readonly #paths = new Map<string, readonly string[]>();

  literal(value: string): Segment {
    let known = this.#literals.get(value);
    if (known === undefined) {
      known = { kind: "literal", value };
      this.#literals.set(value, known);
    }
    return known;
  }

  text(text: string): string {
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }

  /** @param name the path, joined by dots */
  path(name: string, path: readonly string[]): readonly string[] {
    const known = this.#paths.get(name);
    if (known === undefined) this.#paths.set(name, path);
    return known ?? path;
  }
}

const single: Segment = { kind: "single" };
const multi: Segment = { kind: "multi" };

const verbInVariable = "a verb must not be inside a variable; write %3A for a colon in a literal";

const identifierStart = /[A-Za-z_]/;
const identifierPart = /[A-Za-z0-9_]*/y;
const literalCharacters = /[-A-Za-z0-9._~!$&'()+,;=@%]*/y;

class Parser {
  readonly #text: string;
  readonly #segments: Segment[] = [];
  readonly #variables: TemplateVariable[] = [];
  readonly #parts: TemplateParts | undefined;
  #position = 0;
  #multi = false;

  constructor(text: string, parts: TemplateParts | undefined) {
    this.#text = text;
    this.#parts = parts;
  }

  parse(): Template {
    const text = this.#text;
    if (text.length > templateLimits.length) {
      throw new TemplateError(
        `the template has ${text.length} characters, at most ${templateLimits.length} are allowed`,
        templateLimits.length,
      );
    }
    if (text === "") throw this.#error('the template is empty; it must start with "/"');
    if (text[0] !== "/") throw this.#error('a template must start with "/"');
    this.#position = 1;
    if (text.length > 1) this.#parseSegments(false);
    const verb = this.#peek() === ":" ? this.#parseVerb() : undefined;
    return { text, segments: this.#segments, variables: this.#variables, verb };
  }

  #parseSegments(inVariable: boolean): void {
    this.#parseSegment(inVariable);
    while (this.#peek() === "/") {
      this.#position += 1;
      this.#parseSegment(inVariable);
    }
  }

  #parseSegment(inVariable: boolean): void {
    switch (this.#peek()) {
      case undefined:
        throw this.#error('a template must not end with "/"', this.#position - 1);
      case "/":
        throw this.#error("a segment must not be empty");
      case ":":
        throw this.#error(inVariable ? verbInVariable : 'a verb needs a segment before its ":"');
      case "}":
        throw inVariable
          ? this.#error('a pattern must not end with "/"', this.#position - 1)
          : this.#error('"}" closes no variable');
      case "{":
        if (inVariable) throw this.#error("a variable must not hold another variable");
        this.#parseVariable();
        break;
      case "*":
        this.#parseWildcard();
        break;
      default:
        this.#addLiteral(this.#parseLiteral());
    }
    this.#expectSegmentEnd(inVariable);
  }

  #expectSegmentEnd(inVariable: boolean): void {
    const next = this.#peek();
    switch (next) {
      case undefined:
        if (inVariable) throw this.#error('expected "}" to close the variable');
        return;
      case "/":
        return;
      case ":":
        if (inVariable) throw this.#error(verbInVariable);
        return;
      case "}":
        if (!inVariable) throw this.#error('"}" closes no variable');
        return;
      default:
        throw this.#error(`a wildcard or variable must be a whole segment; expected "/" before "${next}"`);
    }
  }

  #parseWildcard(): void {
    const start = this.#position;
    this.#position += 1;
    if (this.#peek() !== "*") {
      this.#add(single, start);
      return;
    }
    this.#position += 1;
    if (this.#multi) throw this.#error('a template may hold "**" only once', start);
    this.#multi = true;
    this.#add(multi, start);
  }

  #parseVariable(): void {
    const opening = this.#position;
    this.#position += 1;
    const nameStart = this.#position;
    const parsed = this.#parseFieldPath();
    const name = parsed.join(".");
    const path = this.#parts?.path(name, parsed) ?? parsed;
    if (this.#variables.some(variable => variable.path.join(".") === name))
      throw this.#error(`the variable "${name}" is used twice`, nameStart);
    if (this.#variables.length === templateLimits.variables) {
      throw this.#error(`a template may hold at most ${templateLimits.variables} variables`, opening);
    }
    const start = this.#segments.length;
    const pattern = this.#parsePattern(opening);
    const end = this.#segments.length;
    const several = end - start > 1 || this.#segments[start]?.kind === "multi";
    this.#variables.push({ path, start, end, multi: several, pattern });
  }

  #parsePattern(opening: number): string {
    const next = this.#peek();
    if (next === "}") {
      this.#add(single, opening);
      this.#position += 1;
      return "*";
    }
    if (next === undefined) throw this.#error('expected "}" to close the variable');
    if (next === ":") throw this.#error(verbInVariable);
    if (next !== "=") throw this.#error(`expected "=", "." or "}" in a variable, found "${next}"`);
    this.#position += 1;
    const start = this.#position;
    if (this.#peek() === "}") throw this.#error('expected a pattern after "="');
    this.#parseSegments(true);
    const pattern = this.#text.slice(start, this.#position);
    this.#position += 1;
    return this.#parts?.text(pattern) ?? pattern;
  }

  #parseFieldPath(): string[] {
    const path = [this.#parseIdentifier()];
    while (this.#peek() === ".") {
      this.#position += 1;
      path.push(this.#parseIdentifier());
    }
    return path;
  }

  #parseIdentifier(): string {
    const start = this.#position;
    const first = this.#peek();
    if (first === "{") throw this.#error("a variable must not hold another variable");
    if (first === undefined || !identifierStart.test(first)) {
      const found = first === undefined ? "the end of the template" : `"${first}"`;
      throw this.#error(`expected a field name, a letter or "_" first, found ${found}`);
    }
    this.#skip(identifierPart);
    return this.#text.slice(start, this.#position);
  }

  #parseLiteral(): string {
    const start = this.#position;
    this.#skip(literalCharacters);
    const next = this.#peek();
    if (next !== undefined && !"/:{}*".includes(next)) throw this.#badCharacter(next);
    const value = this.#decode(start);
    if (hasDotSegment(value)) {
      throw this.#error('"." and ".." segments are refused in paths, so that this can never match', start);
    }
    return value;
  }

  #parseVerb(): string {
    this.#position += 1;
    const start = this.#position;
    this.#skip(literalCharacters);
    const next = this.#peek();
    if (next === "/" || next === ":") {
      throw this.#error(`a verb ends the template, found "${next}"; write %3A for a colon in a literal`);
    }
    if (next !== undefined) throw this.#badCharacter(next);
    if (this.#position === start) throw this.#error('expected a verb after ":"');
    return this.#decode(start);
  }

  #decode(start: number): string {
    const raw = this.#text.slice(start, this.#position);
    const value = decodeText(raw);
    if (value !== undefined) return value;
    const { message, offset } = describeBadEscape(raw);
    throw this.#error(message, start + offset);
  }

  #addLiteral(value: string): void {
    this.#add(this.#parts?.literal(value) ?? { kind: "literal", value });
  }

  #add(segment: Segment, offset = this.#position): void {
    if (this.#segments.length === templateLimits.segments) {
      throw this.#error(`a template may hold at most ${templateLimits.segments} segments`, offset);
    }
    this.#segments.push(segment);
  }

  #skip(allowed: RegExp): void {
    allowed.lastIndex = this.#position;
    allowed.test(this.#text);
    this.#position = allowed.lastIndex;
  }

  #peek(): string | undefined {
    return this.#text[this.#position];
  }

  #badCharacter(char: string): TemplateError {
    const code = this.#text.codePointAt(this.#position) ?? 0;
    const isSurrogate = code >= 0xd800 && code <= 0xdfff;
    const shown = isSurrogate ? `U+${code.toString(16).toUpperCase()}` : String.fromCodePoint(code);
    const hint = isSurrogate || char === "{" || char === "}" ? "" : `; write ${encodeText(shown)}`;
    return this.#error(`the character "${shown}" is not allowed here${hint}`);
  }

  #error(message: string, offset = this.#position): TemplateError {
    return new TemplateError(message, offset);
  }
}

/**
 * Puts a path prefix such as `/blog` before a template. `""` and `/` change nothing; a trailing slash of the
 * prefix is dropped.
 * @throws TemplateError where the prefix is not a path of literals, or both together are too long
 */
export function prefixTemplate(prefix: string, template: Template): Template {
  const bare = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  if (bare === "") return template;
  const { segments, verb } = parseTemplate(bare);
  if (verb !== undefined || segments.some(segment => segment.kind !== "literal")) {
    throw new TemplateError("a prefix holds no wildcard, variable or verb", 0);
  }
  const text = template.text === "/" ? bare : bare + template.text;
  const all = [...segments, ...template.segments];
  // Parsing it reports which limit is exceeded.
  if (text.length > templateLimits.length || all.length > templateLimits.segments) return parseTemplate(text);
  const variables = template.variables.map(({ path, start, end, multi, pattern }) => ({
    path,
    start: start + segments.length,
    end: end + segments.length,
    multi,
    pattern,
  }));
  return { text, segments: all, variables, verb: template.verb };
}
