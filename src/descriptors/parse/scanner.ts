/** A syntax error in a `.proto` file. Line and column start at 1. */
export class SyntaxFault extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
  }
}

export type TokenKind = "identifier" | "integer" | "float" | "string" | "symbol" | "end";

/** The comments between two tokens, attributed as protoc does (google/protobuf/io/tokenizer.h, NextWithComments). */
export interface Comments {
  /** Belongs to the declaration that ended before the gap. */
  readonly trailing: string;
  /** Belongs to the declaration that starts after the gap. */
  readonly leading: string;
}

const identifierSyntax = /[A-Za-z_][A-Za-z0-9_]*/y;
const numberSyntax = /0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?/y;
const integerSyntax = /^(?:0[xX][0-9a-fA-F]+|\d+)$/;
export const noComments: Comments = { trailing: "", leading: "" };

/** Splits `.proto` source into tokens (https://protobuf.dev/reference/protobuf/edition-2023-spec/#lexical_elements). */
export class Scanner {
  kind: TokenKind = "symbol";
  /** The token as written; a string with its quotes, the end of input as "". */
  text = "";
  start = 0;
  end = 0;
  /** Of the token, from 1. */
  line = 1;
  column = 1;
  /** End of the previous token. */
  previousEnd = 0;
  readonly #source: string;
  /** The lines before the one that starts here are in `line`. */
  #lineStart = 0;
  /** Where that line ends. It is kept, since a line can have any number of tokens. */
  #lineEnd: number;

  constructor(source: string) {
    this.#source = source;
    this.#lineEnd = lineEnd(source, 0);
    this.end = source.startsWith("\ufeff") ? 1 : 0;
    this.next();
  }

  /** Moves to the next token. @throws SyntaxFault */
  next(): void {
    const source = this.#source;
    this.previousEnd = this.end;
    const start = this.#skipBlank(this.end);
    this.start = start;
    this.#count(start);
    if (start >= source.length) {
      this.#token("end", start);
      return;
    }
    const code = source.charCodeAt(start);
    if ((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95) {
      identifierSyntax.lastIndex = start;
      identifierSyntax.test(source);
      this.#token("identifier", identifierSyntax.lastIndex);
    } else if (code === 34 || code === 39) {
      this.#token("string", this.#stringEnd(start, code));
    } else if (isDigit(code) || (code === 46 && isDigit(source.charCodeAt(start + 1)))) {
      numberSyntax.lastIndex = start;
      numberSyntax.test(source);
      const end = numberSyntax.lastIndex;
      if (/[\w.]/.test(source.charAt(end)))
        throw this.fault(`malformed number "${source.slice(start, end + 1)}"`);
      this.#token("integer", end);
      if (!integerSyntax.test(this.text)) this.kind = "float";
    } else {
      if (code < 32 || code > 126)
        throw this.fault(`unexpected character ${JSON.stringify(source.charAt(start))}`);
      this.#token("symbol", start + 1);
    }
  }

  /** Whether the token is that symbol or keyword. */
  is(text: string): boolean {
    return this.text === text;
  }

  fault(message: string): SyntaxFault {
    return new SyntaxFault(message, this.line, this.column);
  }

  /** The comments between the previous token and this one. */
  comments(): Comments {
    if (this.start - this.previousEnd < 2) return noComments;
    const gap = this.#source.slice(this.previousEnd, this.start);
    if (!gap.includes("/")) return noComments;
    return attribute(gap, this.previousEnd <= 1, this.kind === "end" || "}])".includes(this.text));
  }

  #token(kind: TokenKind, end: number): void {
    this.kind = kind;
    this.end = end;
    this.text = this.#source.slice(this.start, end);
  }

  #skipBlank(from: number): number {
    const source = this.#source;
    let at = from;
    for (;;) {
      const code = source.charCodeAt(at);
      if (code === 32 || (code >= 9 && code <= 13)) {
        at++;
      } else if (code === 47 && source.charCodeAt(at + 1) === 47) {
        const newline = source.indexOf("\n", at);
        if (newline < 0) return source.length;
        at = newline + 1;
      } else if (code === 47 && source.charCodeAt(at + 1) === 42) {
        const close = source.indexOf("*/", at + 2);
        if (close < 0) {
          this.#count(at);
          throw this.fault("the comment that starts here has no end");
        }
        at = close + 2;
      } else {
        return at;
      }
    }
  }

  #stringEnd(start: number, quote: number): number {
    const source = this.#source;
    for (let at = start + 1; at < source.length; at++) {
      const code = source.charCodeAt(at);
      if (code === quote) return at + 1;
      if (code === 10) break;
      if (code === 92) at++;
    }
    throw this.fault("the string that starts here has no end on its line");
  }

  #count(position: number): void {
    while (this.#lineEnd < position) {
      this.line++;
      this.#lineStart = this.#lineEnd + 1;
      this.#lineEnd = lineEnd(this.#source, this.#lineStart);
    }
    this.column = position - this.#lineStart + 1;
  }
}

function lineEnd(source: string, from: number): number {
  const newline = source.indexOf("\n", from);
  return newline < 0 ? source.length : newline;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Collects comments as protoc's CommentCollector does; detached ones are dropped. */
class Collector {
  trailing = "";
  #pending: string | undefined;
  #line = false;
  #attachable = true;

  add(text: string, line: boolean): void {
    if (this.#pending !== undefined && line && this.#line) {
      this.#pending += text;
      return;
    }
    this.flush();
    this.#pending = text;
    this.#line = line;
  }

  flush(): void {
    if (this.#pending !== undefined && this.#attachable) {
      this.trailing = this.#pending;
      this.#attachable = false;
    }
    this.#pending = undefined;
  }

  detach(): void {
    this.#attachable = false;
  }

  get leading(): string {
    return this.#pending ?? "";
  }
}

function attribute(gap: string, first: boolean, closes: boolean): Comments {
  const collector = new Collector();
  let at = 0;
  const blanks = () => {
    while (at < gap.length && gap[at] !== "\n" && gap[at] !== "/") at++;
  };
  const comment = (): boolean => {
    if (gap[at] !== "/") return false;
    const line = gap[at + 1] === "/";
    const close = line ? gap.indexOf("\n", at) : gap.indexOf("*/", at + 2);
    const end = close < 0 ? gap.length : close;
    const text = gap.slice(at + 2, end).replaceAll("\r", "");
    collector.add(line ? `${text}\n` : text.replace(/\n[ \t]*\*?/g, "\n"), line);
    at = end + (line ? 1 : 2);
    return true;
  };

  if (first) {
    collector.detach();
  } else {
    blanks();
    if (comment()) collector.flush();
    else at++;
  }
  while (at < gap.length) {
    blanks();
    if (comment()) {
      if (gap[at - 1] === "\n") continue;
      blanks();
      if (gap[at] === "\n") at++;
    } else if (gap[at] === "\n") {
      at++;
      collector.flush();
      collector.detach();
    }
  }
  if (closes) collector.flush();
  return { trailing: collector.trailing, leading: collector.leading };
}
