import type { Steps } from "../../net/pace.js";
import type { HasOptions } from "../descriptor-proto.js";
import type { Scanner } from "./scanner.js";
import { accept, expect, parseInteger, readIdentifier, readName, takeString, unexpected } from "./token.js";

const maxOptionDepth = 64;
const unitsPerValue = 0.5;

/** The part of the parse context that options need. */
interface Reading {
  readonly scanner: Scanner;
  /** Units of the work since the last call. */
  work(least: number): number;
}

/** `name = value`, without `option` and `;`. @throws SyntaxFault */
export function* readOption(context: Reading): Steps<OptionStatement> {
  const { scanner } = context;
  const { line, column } = scanner;
  const path: OptionName[] = [];
  do {
    if (accept(scanner, "(")) {
      path.push({ name: readName(scanner, "the name of an option"), extension: true });
      expect(scanner, ")");
    } else {
      path.push({ name: readIdentifier(scanner, "the name of an option"), extension: false });
    }
  } while (accept(scanner, "."));
  expect(scanner, "=");
  return { path, value: yield* readLiteral(context, 0), line, column };
}

/** `[a = 1, (b) = 2]` where there is one. @throws SyntaxFault */
export function* readInlineOptions(context: Reading): Steps<OptionStatement[]> {
  const { scanner } = context;
  const statements: OptionStatement[] = [];
  if (!accept(scanner, "[")) return statements;
  do {
    yield context.work(unitsPerValue);
    statements.push(yield* readOption(context));
  } while (accept(scanner, ","));
  expect(scanner, "]");
  return statements;
}

function* readLiteral(context: Reading, depth: number): Steps<Literal> {
  const { scanner } = context;
  if (depth > maxOptionDepth)
    throw scanner.fault(`option values are nested more than ${maxOptionDepth} deep`);
  if (scanner.kind === "string") return { kind: "string", value: yield* readStrings(context) };
  if (scanner.text === "{" || (depth > 0 && scanner.text === "<"))
    return yield* readAggregate(context, depth);
  if (depth > 0 && scanner.text === "[") return yield* readList(context, depth);
  const negative = accept(scanner, "-") || (accept(scanner, "+") && false);
  let literal: Literal;
  if (scanner.kind === "integer") {
    const value = parseInteger(scanner);
    literal =
      negative && value === 0n
        ? { kind: "float", value: -0 }
        : { kind: "integer", value: negative ? -value : value };
  } else if (scanner.kind === "float") {
    literal = { kind: "float", value: Number.parseFloat(scanner.text) * (negative ? -1 : 1) };
  } else if (scanner.kind === "identifier") {
    literal = { kind: "identifier", text: scanner.text, negative };
  } else {
    throw unexpected(scanner, "a value");
  }
  scanner.next();
  return literal;
}

/** Adjacent strings, which are one. */
function* readStrings(context: Reading): Steps<Buffer> {
  const first = takeString(context.scanner);
  if (context.scanner.kind !== "string") return first;
  const parts = [first];
  while (context.scanner.kind === "string") {
    yield context.work(unitsPerValue);
    parts.push(takeString(context.scanner));
  }
  return Buffer.concat(parts);
}

/** Text format (https://protobuf.dev/reference/protobuf/textformat-spec/). */
function* readAggregate(context: Reading, depth: number): Steps<Literal> {
  const { scanner } = context;
  const close = scanner.text === "{" ? "}" : ">";
  scanner.next();
  const fields: AggregateField[] = [];
  while (!accept(scanner, close)) {
    yield context.work(unitsPerValue);
    const { name, form } = readFieldName(scanner);
    const colon = accept(scanner, ":");
    if (!colon && !"{<[".includes(scanner.text)) throw unexpected(scanner, '":"');
    fields.push({ name, form, value: yield* readLiteral(context, depth + 1) });
    if (!accept(scanner, ",")) accept(scanner, ";");
  }
  return { kind: "aggregate", fields };
}

function readFieldName(scanner: Scanner): { name: string; form: AggregateField["form"] } {
  if (!accept(scanner, "[")) return { name: readIdentifier(scanner, "the name of a field"), form: "field" };
  let name = readName(scanner, "the name of an extension");
  let form: AggregateField["form"] = "extension";
  while (accept(scanner, "/")) {
    name += `/${readName(scanner, "the name of a type")}`;
    form = "any";
  }
  expect(scanner, "]");
  return { name, form };
}

function* readList(context: Reading, depth: number): Steps<Literal> {
  const { scanner } = context;
  scanner.next();
  const items: Literal[] = [];
  if (accept(scanner, "]")) return { kind: "list", items };
  do {
    yield context.work(unitsPerValue);
    items.push(yield* readLiteral(context, depth + 1));
  } while (accept(scanner, ","));
  expect(scanner, "]");
  return { kind: "list", items };
}

/** The options of one element, to be encoded into `target.options` once all extensions are known. */
export interface OptionList {
  readonly target: HasOptions;
  /** The message that holds them, `google.protobuf.FieldOptions`. */
  readonly type: string;
  /** Full name of the element, for messages to people. */
  readonly element: string;
  /** Full name of the scope of the element, in which extension names are looked up. */
  readonly scope: string;
  readonly statements: readonly OptionStatement[];
}

/** `(google.api.http).get = "/v1"`: a path of names and a value. */
export interface OptionStatement {
  readonly path: readonly OptionName[];
  readonly value: Literal;
  readonly line: number;
  readonly column: number;
}

export interface OptionName {
  /** As written, without parentheses. */
  readonly name: string;
  readonly extension: boolean;
}

/** A value as written. Strings are bytes, since their escapes can spell any. */
export type Literal =
  | { readonly kind: "identifier"; readonly text: string; readonly negative: boolean }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: Uint8Array }
  | { readonly kind: "list"; readonly items: readonly Literal[] }
  | { readonly kind: "aggregate"; readonly fields: readonly AggregateField[] };

/** `name: value`, `[extension.name]: value` or, in an Any, `[type.googleapis.com/full.Name] { ... }`. */
export interface AggregateField {
  readonly name: string;
  readonly form: "field" | "extension" | "any";
  readonly value: Literal;
}
