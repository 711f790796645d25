import { ExpressionError } from "./expression.js";

export type Token =
  | { readonly kind: "name" | "text"; readonly value: string; readonly column: number }
  | { readonly kind: "integer"; readonly value: bigint; readonly column: number }
  | { readonly kind: "mark"; readonly value: Mark; readonly column: number }
  | { readonly kind: "end"; readonly value: ""; readonly column: number };

const marks = ["&&", "||", "==", "!=", "!", "(", ")", "[", "]", ",", "."] as const;
export type Mark = (typeof marks)[number];

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
export function tokensOf(text: string): readonly Token[] {
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
