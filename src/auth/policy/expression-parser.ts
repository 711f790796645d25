import { type Expression, ExpressionError, type Reference, type Step } from "./expression.js";

/** Most parentheses, brackets and `!` inside one another. */
const deepest = 64;

/** Reads the text of a rule. @throws ExpressionError */
export function parseExpression(text: string): Expression {
  const parser = new Parser(tokensOf(text));
  return parser.rule();
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  rule(): Expression {
    const expression = this.#or();
    if (this.#token.kind !== "end") throw this.#expected('"&&", "||" or the end');
    return expression;
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#takes("||")) left = { kind: "or", left, right: this.#and(), column: left.column };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#takes("&&")) left = { kind: "and", left, right: this.#not(), column: left.column };
    return left;
  }

  #not(): Expression {
    const { column } = this.#token;
    if (!this.#takes("!")) return this.#comparison();
    return this.#nested(() => ({ kind: "not", operand: this.#not(), column }));
  }

  #comparison(): Expression {
    const left = this.#operand();
    const { column } = left;
    if (this.#takes("==")) return { kind: "equal", left, right: this.#operand(), column };
    if (this.#takes("!=")) {
      return { kind: "not", operand: { kind: "equal", left, right: this.#operand(), column }, column };
    }
    const token = this.#token;
    if (token.kind !== "name" || token.value !== "in") return left;
    this.#at += 1;
    return { kind: "in", left, right: this.#operand(), column };
  }

  #operand(): Expression {
    const token = this.#token;
    const { column } = token;
    switch (token.kind) {
      case "text":
        this.#at += 1;
        return { kind: "text", value: token.value, column };
      case "integer":
        this.#at += 1;
        return { kind: "integer", value: token.value, column };
      case "name":
        return this.#named(token.value, column);
      default:
        if (this.#takes("(")) {
          return this.#nested(() => {
            const inner = this.#or();
            this.#expect(")");
            return inner;
          });
        }
        if (this.#takes("[")) return this.#nested(() => this.#list(column));
        throw this.#expected("a value");
    }
  }

  #named(name: string, column: number): Expression {
    if (name === "true" || name === "false") {
      this.#at += 1;
      return { kind: "boolean", value: name === "true", column };
    }
    if (name === "in" || name === "null") throw this.#expected("a value");
    const next = this.#tokens[this.#at + 1];
    if (next?.kind !== "mark" || next.value !== "(") return this.#reference();
    if (name !== "has") {
      throw new ExpressionError(`there is no function "${name}"; the only one is has()`, column);
    }
    this.#at += 2;
    const reference = this.#reference();
    if (reference.steps.length === 0) {
      throw new ExpressionError(
        "has() takes a field or a claim, such as has(request.name)",
        reference.column,
      );
    }
    this.#expect(")");
    return { kind: "has", reference, column };
  }

  #reference(): Reference {
    const { column } = this.#token;
    const root = this.#name("a name");
    const steps: Step[] = [];
    for (;;) {
      const at = this.#token.column;
      if (this.#takes(".")) {
        const { column: start } = this.#token;
        steps.push({ name: this.#name("a name"), quoted: false, column: start });
      } else if (this.#takes("[")) {
        const token = this.#token;
        if (token.kind !== "text") throw this.#expected("a text in quotes");
        this.#at += 1;
        this.#expect("]");
        steps.push({ name: token.value, quoted: true, column: at });
      } else {
        return { kind: "reference", root, steps, column };
      }
    }
  }

  #list(column: number): Expression {
    const items: Expression[] = [];
    if (this.#takes("]")) return { kind: "list", items, column };
    do items.push(this.#operand());
    while (this.#takes(","));
    this.#expect("]");
    return { kind: "list", items, column };
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > deepest) {
      throw new ExpressionError(`the rule is nested more than ${deepest} deep`, this.#token.column);
    }
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #name(what: string): string {
    const token = this.#token;
    if (token.kind !== "name") throw this.#expected(what);
    this.#at += 1;
    return token.value;
  }

  #takes(mark: Mark): boolean {
    const token = this.#token;
    if (token.kind !== "mark" || token.value !== mark) return false;
    this.#at += 1;
    return true;
  }

  #expect(mark: Mark): void {
    if (!this.#takes(mark)) throw this.#expected(`"${mark}"`);
  }

  #expected(what: string): ExpressionError {
    const token = this.#token;
    const found = token.kind === "end" ? "the end" : `"${String(token.value).slice(0, 32)}"`;
    return new ExpressionError(`expected ${what}, found ${found}`, token.column);
  }
}

type Token =
  | { readonly kind: "name" | "text"; readonly value: string; readonly column: number }
  | { readonly kind: "integer"; readonly value: bigint; readonly column: number }
  | { readonly kind: "mark"; readonly value: Mark; readonly column: number }
  | { readonly kind: "end"; readonly value: ""; readonly column: number };

const marks = ["&&", "||", "==", "!=", "!", "(", ")", "[", "]", ",", "."] as const;
type Mark = (typeof marks)[number];

/** Longest rule. */
const longest = 4096;

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Splits a rule into its tokens, the end included. @throws ExpressionError */
function tokensOf(text: string): readonly Token[] {
  if (text.length > longest) throw new ExpressionError(`a rule has at most ${longest} characters`, 1);
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const column = at + 1;
    const rest = text.slice(at);
    const space = /^\s+/.exec(rest);
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest);
    const integer = /^-?\d+(?![.\w])/.exec(rest);
    const mark = marks.find(each => rest.startsWith(each));
    if (name !== null) {
      tokens.push({ kind: "name", value: name[0], column });
      at += name[0].length;
    } else if (integer !== null) {
      tokens.push({ kind: "integer", value: integerOf(integer[0], column), column });
      at += integer[0].length;
    } else if (rest[0] === '"' || rest[0] === "'") {
      const { value, length } = textOf(rest, column);
      tokens.push({ kind: "text", value, column });
      at += length;
    } else if (mark !== undefined) {
      tokens.push({ kind: "mark", value: mark, column });
      at += mark.length;
    } else {
      throw unexpected(rest, column);
    }
  }
  tokens.push({ kind: "end", value: "", column: text.length + 1 });
  return tokens;
}

function integerOf(digits: string, column: number): bigint {
  const value = digits.length > 20 ? undefined : BigInt(digits);
  if (value === undefined || value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new ExpressionError("the number does not fit 64 bits", column);
  }
  return value;
}

function textOf(rest: string, column: number): { readonly value: string; readonly length: number } {
  const quote = rest[0] as string;
  let value = "";
  for (let at = 1; at < rest.length; at++) {
    const char = rest[at] as string;
    if (char === quote) return { value, length: at + 1 };
    if (char !== "\\") {
      value += char;
      continue;
    }
    const unicode = /^u([0-9A-Fa-f]{4})/.exec(rest.slice(at + 1));
    const escaped = rest[at + 1] ?? "";
    if (unicode !== null) {
      value += String.fromCharCode(Number.parseInt(unicode[1] as string, 16));
      at += 5;
    } else if (Object.hasOwn(escapes, escaped)) {
      value += escapes[escaped];
      at += 1;
    } else {
      throw new ExpressionError(
        `expected one of the escapes \\", \\', \\\\, \\n, \\r, \\t and \\uXXXX, found "\\${escaped}"`,
        column + at,
      );
    }
  }
  throw new ExpressionError(`the text has no closing ${quote}`, column);
}

const oneForTwo: Readonly<Record<string, string>> = { "=": "==", "&": "&&", "|": "||" };

function unexpected(rest: string, column: number): ExpressionError {
  const [char = ""] = rest;
  const number = /^-?[\d.]+\w*/.exec(rest);
  if (number !== null) {
    return new ExpressionError(`expected a whole number, found "${number[0].slice(0, 32)}"`, column);
  }
  return new ExpressionError(`"${char}" means nothing in a rule`, column, oneForTwo[char]);
}
