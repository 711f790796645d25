import type { EnumProto, FieldProto, HasOptions, LocationProto, MessageProto } from "../descriptor-proto.js";
import type { Import } from "../source-file.js";
import type { OptionList, OptionStatement } from "./option.js";
import { type Comments, noComments, Scanner } from "./scanner.js";
import { expect } from "./token.js";

const charactersPerUnit = 20;

/** Where a declaration starts, and the comment before it. */
export interface Start {
  readonly line: number;
  readonly column: number;
  readonly leading: string;
}

/** Where declarations go: a file or a message. `scope` is its full name or package, `path` its source info path. */
export interface Container {
  readonly scope: string;
  readonly path: readonly number[];
  readonly depth: number;
  readonly messages: MessageProto[];
  readonly enums: EnumProto[];
  readonly extensions: FieldProto[];
  readonly numbers: { readonly message: number; readonly enum: number; readonly extension: number };
}

/** The state of the parsing of one file: the scanner, and the findings beside the descriptors themselves. */
export class ParseContext {
  readonly scanner: Scanner;
  readonly locations: LocationProto[] = [];
  readonly options: OptionList[] = [];
  readonly imports: Import[] = [];
  syntax: "proto2" | "proto3" | "editions" = "proto2";
  /** The leading comment of the coming declaration: read once, when the one before it ended. */
  leading: string;
  /** Up to where the work of parsing has been counted. */
  #counted = 0;

  /** @param withLocations whether comments and positions are kept */
  constructor(
    source: string,
    readonly withLocations: boolean,
  ) {
    this.scanner = new Scanner(source);
    this.leading = this.comments().leading;
  }

  /** The comments between the previous token and this one, where they are kept. */
  comments(): Comments {
    return this.withLocations ? this.scanner.comments() : noComments;
  }

  /** Units of the work since the last call: a declaration takes about as long as its characters are many. @param least */
  work(least = 3): number {
    const { start } = this.scanner;
    const characters = start - this.#counted;
    this.#counted = start;
    return least + characters / charactersPerUnit;
  }

  /** Marks the token as the first of a declaration, which takes the comment before it. */
  start(): Start {
    const { line, column } = this.scanner;
    const leading = this.leading;
    this.leading = "";
    return { line, column, leading };
  }

  /** Takes an empty statement, where there is one. */
  acceptEmpty(): boolean {
    if (!this.scanner.is(";")) return false;
    this.endStatement();
    return true;
  }

  /** Takes the token that ends a statement and keeps the comments around it. @returns the trailing comment */
  endStatement(token: ";" | "}" = ";"): string {
    const scanner = this.scanner;
    expect(scanner, token);
    const { trailing, leading } = this.comments();
    this.leading = leading;
    return trailing;
  }

  /** Takes `;` and enters the position of the declaration that it ends. */
  endDeclaration(path: readonly number[], start: Start): void {
    const { line, column } = this.scanner;
    this.locate(path, start, line, column, this.endStatement());
  }

  /** Takes `{` and enters the position of the declaration whose body it opens. */
  open(path: readonly number[], start: Start): LocationProto {
    const scanner = this.scanner;
    const { line, column } = scanner;
    expect(scanner, "{");
    const { trailing, leading } = this.comments();
    this.leading = leading;
    return this.locate(path, start, line, column, trailing);
  }

  /** Takes `}`, which is where the declaration ends. */
  close(location: LocationProto): void {
    if (location !== noLocation) {
      const [line = 0, column = 0] = location.span;
      location.span = span(line + 1, column + 1, this.scanner.line, this.scanner.column);
    }
    this.endStatement("}");
  }

  /** Enters a position that ends behind the given line and column. */
  locate(
    path: readonly number[],
    start: Start,
    line: number,
    column: number,
    trailing: string,
  ): LocationProto {
    if (!this.withLocations) return noLocation;
    const location: LocationProto = { path: [...path], span: span(start.line, start.column, line, column) };
    if (start.leading !== "") location.leadingComments = start.leading;
    if (trailing !== "") location.trailingComments = trailing;
    this.locations.push(location);
    return location;
  }

  /** Keeps the options of an element until all extensions are known. @param kind `File`, `Field`, ... */
  addOptions(
    target: HasOptions,
    kind: string,
    element: string,
    scope: string,
    statements: readonly OptionStatement[],
  ): void {
    if (statements.length === 0) return;
    this.options.push({ target, type: `google.protobuf.${kind}Options`, element, scope, statements });
  }
}

/** Used for all positions where none are kept. */
const noLocation: LocationProto = { path: [], span: [] };

/** From the first character to behind the last one, in source info's form. */
function span(line: number, column: number, endLine: number, endColumn: number): number[] {
  return line === endLine
    ? [line - 1, column - 1, endColumn]
    : [line - 1, column - 1, endLine - 1, endColumn];
}
