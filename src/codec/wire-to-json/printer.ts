import type { Field } from "../../descriptors/model.js";
import { wireTypeOf } from "../../descriptors/wire-type.js";
import { LENGTH, START_GROUP, tagOf } from "../../wire/wire-type.js";
import { bareLevel, FunctionSource, type Level, objectLevel } from "../function-source.js";
import { BAIL } from "../json-to-wire/json-cursor.js";
import { cost, keyCost } from "../work.js";
import type { DecodeNode, Print, PrintSteps } from "./decode.js";
import { JsonPiece } from "./json-writer.js";
import { absentText, type DecodeField, hasNoPresence, type ObjectOptions } from "./text-decoder.js";

/** Members that one 32-bit word can mark as seen. */
const bitsOfWord = 31;

/** Character codes of the brackets around elements. */
type Brackets = readonly [open: number, close: number];
const listBrackets: Brackets = [0x5b, 0x5d];
const objectBrackets: Brackets = [0x7b, 0x7d];

/**
 * The one-pass printer of a message as an object of its fields, in the order in which they come. Generated: one loop over
 * tags prints each field in its order. A field that comes in pieces, or that another of its oneof replaces, bails.
 */
export function objectPrinter(fields: readonly DecodeField[], options: ObjectOptions): Print {
  return objectSource(fields, options, false).compile<Print>("r", "end", "j", "depth");
}

/** The same, stopping between elements and messages. */
export function objectSteps(fields: readonly DecodeField[], options: ObjectOptions): PrintSteps {
  return objectSource(fields, options, true).compileSteps<PrintSteps>("r", "end", "j", "depth", "s");
}

function objectSource(
  fields: readonly DecodeField[],
  options: ObjectOptions,
  inSteps: boolean,
): FunctionSource {
  const source = new FunctionSource();
  source.add(`if (depth <= 0) throw ${source.link(BAIL)};`, "j.byte(123);");
  printFields(source, fields, options, { level: objectLevel, inSteps }, memberHead);
  source.add("j.close(125);");
  return source;
}

function memberHead(item: DecodeField): string {
  return `${JSON.stringify(item.name)}:`;
}

/** The same for the bare value of a single field, which belongs to no oneof; prints nothing where it is absent. */
export function barePrinter(field: DecodeField): Print {
  return bareSource(field, false).compile<Print>("r", "end", "j", "depth");
}

/** The same, stopping between elements and messages. */
export function bareSteps(field: DecodeField): PrintSteps {
  return bareSource(field, true).compileSteps<PrintSteps>("r", "end", "j", "depth", "s");
}

function bareSource(field: DecodeField, inSteps: boolean): FunctionSource {
  const source = new FunctionSource();
  const options = { extensions: undefined, emitDefaults: false };
  printFields(source, [field], options, { level: bareLevel, inSteps }, () => "");
  return source;
}

/** Prints with a bare printer, or the default where that prints nothing. */
export function wholePrinter(print: Print, zero: string): Print {
  const absent = new JsonPiece(`${zero},`);
  return (reader, end, out, depth) => {
    const start = out.length;
    print(reader, end, out, depth);
    if (out.length === start) out.piece(absent);
  };
}

/** `wholePrinter` in steps. */
export function wholeSteps(steps: PrintSteps, zero: string): PrintSteps {
  const absent = new JsonPiece(`${zero},`);
  return function* (reader, end, out, depth, slice) {
    const start = out.length;
    yield* steps(reader, end, out, depth, slice);
    if (out.length === start) out.piece(absent);
  };
}

const pauseCheck = "if (s.over(r, j)) yield;";

/** Where and how fields are printed. */
interface PrintContext {
  readonly level: Level;
  readonly inSteps: boolean;
}

/** @param head the text before a field's value */
function printFields(
  source: FunctionSource,
  fields: readonly DecodeField[],
  options: ObjectOptions,
  context: PrintContext,
  head: (item: DecodeField) => string,
): void {
  const bail = source.link(BAIL);
  const oneofs = [...new Set(fields.flatMap(({ field }) => field.oneof ?? []))];
  source.add(`r.spend(${cost.message});`, "let e = 0, q = 0, key, keys, tag = 0;");
  for (let word = 0; word * bitsOfWord < fields.length; word++) source.add(`let s${word} = 0;`);
  oneofs.forEach((_, index) => {
    source.add(`let o${index} = false;`);
  });
  source.add("while (r.pos < end) {", "tag = r.tag();", "switch (tag) {");
  fields.forEach((item, index) => {
    const { field } = item;
    const seen = `s${Math.floor(index / bitsOfWord)}`;
    const bit = 1 << (index % bitsOfWord);
    const claimed = field.oneof === undefined ? "" : `o${oneofs.indexOf(field.oneof)}`;
    const claim = claimed === "" ? "" : ` if (${claimed}) throw ${bail}; ${claimed} = true;`;
    const first = `if ((${seen} & ${bit}) !== 0) throw ${bail}; ${seen} |= ${bit};${claim}`;
    const sparse = hasNoPresence(field) && !options.emitDefaults;
    const name = source.link(new JsonPiece(head(item)));
    for (const [tag, body] of printCases(source, item, name, sparse, context)) {
      source.add(`case ${tag}: ${first} ${body} break;`);
    }
  });
  source.add(
    options.extensions === undefined
      ? `default: r.spend(${cost.unknownField}); r.skip(tag, depth);`
      : `default: throw ${bail};`,
  );
  source.add("}", context.inSteps ? pauseCheck : "", "}", `if (r.pos !== end) throw ${bail};`);
  fields.forEach((item, index) => {
    const { field } = item;
    const unseen = `(s${Math.floor(index / bitsOfWord)} & ${1 << (index % bitsOfWord)}) === 0`;
    if (field.presence === "required" && !field.repeated) {
      source.add(`if (${unseen}) throw ${bail};`);
      return;
    }
    const absent = absentText(item, options.emitDefaults);
    if (absent !== undefined)
      source.add(`if (${unseen}) j.piece(${source.link(new JsonPiece(`${head(item)}${absent},`))});`);
  });
}

/** Each tag that the field may have on the wire, and its printer. */
function printCases(
  source: FunctionSource,
  item: DecodeField,
  name: string,
  sparse: boolean,
  context: PrintContext,
): (readonly [tag: number, body: string])[] {
  const { field, value } = item;
  const { level, inSteps } = context;
  const bail = source.link(BAIL);
  const stop = inSteps ? ` ${pauseCheck}` : "";
  const isOpening = field.repeated || value.kind === "map";
  const head = `${isOpening ? `if (${level.value} <= 0) throw ${bail}; ` : ""}j.piece(${name});`;
  if (field.delimited && value.kind !== "map") return [[tagOf(field.number, START_GROUP), `throw ${bail};`]];
  if (value.kind === "map")
    return [[tagOf(field.number, LENGTH), printMap(source, item, field.map!, head, context)]];
  if (value.kind === "message") {
    const print = `${field.repeated ? `r.spend(${cost.element}); ` : ""}e = r.span(); ${printMessage(source, value.node, field.repeated ? level.inside : level.value, inSteps)}${stop}`;
    const tag = tagOf(field.number, LENGTH);
    return [[tag, field.repeated ? printRun(tag, head, print, listBrackets) : `${head} ${print}`]];
  }
  const tag = tagOf(field.number, wireTypeOf(field.kind));
  if (!field.repeated) return [[tag, `${source.link(value.print)}(r, j, ${name}, ${sparse});`]];
  const one = `r.spend(${printCost(field)}); ${source.link(value.print)}(r, j, undefined, false);${stop}`;
  const cases: (readonly [number, string])[] = [[tag, printRun(tag, head, one, listBrackets)]];
  if (wireTypeOf(field.kind) !== LENGTH) {
    const packed = `e = r.span(); if (r.pos === e) throw ${bail}; while (r.pos < e) { ${one} } if (r.pos !== e) throw ${bail};`;
    cases.push([
      tagOf(field.number, LENGTH),
      printRun(tagOf(field.number, LENGTH), head, packed, listBrackets),
    ]);
  }
  return cases;
}

function printMessage(source: FunctionSource, node: DecodeNode, depth: string, inSteps: boolean): string {
  const name = source.link(node);
  return inSteps ? `yield* ${name}.steps(r, e, j, ${depth}, s);` : `${name}.print(r, e, j, ${depth});`;
}

/** A run of occurrences of one tag without another between. */
function printRun(tag: number, head: string, one: string, [open, close]: Brackets): string {
  return `${head} j.byte(${open}); do { ${one} } while (r.pos < end && r.continues(${tag})); j.close(${close});`;
}

/** Units of work for printing an element of a list. */
function printCost({ kind }: Field): number {
  return kind === "bytes" ? cost.bytes : cost.element;
}

/** Entries with a key and then a value; other forms are legal and rare. */
function printMap(
  source: FunctionSource,
  { value, field }: DecodeField,
  entry: { readonly key: Field; readonly value: Field },
  head: string,
  { level, inSteps }: PrintContext,
): string {
  if (value.kind !== "map") return "";
  const bail = source.link(BAIL);
  const { readKey, entry: reader } = value;
  const body =
    reader.kind === "message"
      ? `e = r.span(); ${printMessage(source, reader.node, level.inside, inSteps)}`
      : `${source.link(reader.print)}(r, j, undefined, false);`;
  const one = [
    `r.spend(${source.link(keyCost)}(keys === undefined ? 0 : keys.size)); q = r.span();`,
    `if (r.pos >= q || r.tag() !== ${tagOf(entry.key.number, wireTypeOf(entry.key.kind))}) throw ${bail};`,
    `key = ${source.link(readKey)}(r); if (keys === undefined) keys = new Set(); else if (keys.has(key)) throw ${bail}; keys.add(key);`,
    `if (r.pos >= q || r.tag() !== ${tagOf(entry.value.number, wireTypeOf(entry.value.kind))}) throw ${bail};`,
    `j.text(key); j.byte(58); ${body} if (r.pos !== q) throw ${bail};${inSteps ? ` ${pauseCheck}` : ""}`,
  ].join(" ");
  return `keys = undefined; ${printRun(tagOf(field.number, LENGTH), head, one, objectBrackets)}`;
}
