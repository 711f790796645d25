import type { Field } from "../../descriptors/model.js";
import { wireTypeOf } from "../../descriptors/wire-type.js";
import { LENGTH, START_GROUP, tagOf } from "../../wire/wire-type.js";
import type { EmitDefaults } from "../codec.js";
import { bareLevel, FunctionSource, type Level, literal, objectLevel } from "../function-source.js";
import { cost, maxJsonBytes } from "../work.js";
import {
  type Decode,
  type DecodeEntry,
  type DecodeEntrySteps,
  type DecodeNode,
  type DecodeSteps,
  type EntryNode,
  type ExtensionPrinter,
  located,
  mapText,
  messageSteps,
  messageText,
  missing,
  tooDeep,
  withSpan,
} from "./decode.js";
import { tooLarge, truncated } from "./reader.js";
import type { PrintScalar } from "./scalar-print.js";
import type { ReadText } from "./scalar-text.js";

/** How one value of a field is read. */
export type ValueReader =
  | {
      readonly kind: "text";
      readonly read: ReadText;
      readonly print: PrintScalar;
      /** `read` may give the empty text: leave the value out. */
      readonly sparse: boolean;
    }
  | { readonly kind: "message"; readonly node: DecodeNode }
  | {
      readonly kind: "map";
      readonly node: EntryNode;
      readonly readKey: ReadText;
      /** How the values are read. */
      readonly entry: Exclude<ValueReader, { readonly kind: "map" }>;
    };

export interface DecodeField {
  readonly field: Field;
  /** Member name in JSON. */
  readonly name: string;
  readonly value: ValueReader;
  /** JSON text of an absent field: `0`, `""`, `[]`, `{}`; `null` for messages. */
  readonly zero: string;
  /** False for fields that are read only because they clear others of their oneof. */
  readonly printed: boolean;
}

export interface ObjectOptions {
  readonly extensions: ExtensionPrinter | undefined;
  readonly emitDefaults: EmitDefaults;
}

/**
 * The decoder of a message as an object of its fields, in the order given. Generated: one switch over tags gathers
 * each field's text (messages: where they lie), then the fields are printed. A slot that holds "" is absent.
 */
export function objectDecoder(fields: readonly DecodeField[], options: ObjectOptions): Decode {
  return objectSource(fields, options, false).compile<Decode>("r", "end", "depth");
}

/** The same, stopping between elements and messages. */
export function objectDecoderSteps(fields: readonly DecodeField[], options: ObjectOptions): DecodeSteps {
  return objectSource(fields, options, true).compileSteps<DecodeSteps>("r", "end", "depth", "s");
}

function objectSource(
  fields: readonly DecodeField[],
  options: ObjectOptions,
  inSteps: boolean,
): FunctionSource {
  const writer = new DecodeSource(fields, "object", inSteps);
  const { source } = writer;
  const { extensions } = options;
  const printer = extensions === undefined ? "" : source.link(extensions);
  writer.open(printer);
  source.add('let out = "";');
  fields.forEach((item, index) => {
    const name = JSON.stringify(item.name);
    const lead = `out += (out === "" ? ${literal(`{${name}:`)} : ${literal(`,${name}:`)})`;
    source.add(`if (${writer.present(index)}) { at = ${index}; ${lead} + ${writer.text(index)}; }`);
    if (item.field.presence === "required" && !item.field.repeated) {
      source.add(`else throw ${source.link(missing)}(${literal(item.name)});`);
    } else {
      const absent = absentText(item, options.emitDefaults);
      if (absent !== undefined) source.add(`else ${lead} + ${literal(absent)};`);
    }
  });
  if (extensions !== undefined)
    source.add(
      `if (found !== undefined) out = ${inSteps ? `yield* ${printer}.printSteps(r, found, out, depth, s)` : `${printer}.print(r, found, out, depth)`};`,
    );
  source.add(
    `if (out.length > ${maxJsonBytes}) throw ${source.link(tooLarge)}();`,
    "r.pos = end;",
    'return out === "" ? "{}" : out + "}";',
  );
  writer.close();
  return source;
}

/** The decoder of the one field that is printed and present, as its bare value; `absent` where there is none. */
export function bareDecoder(fields: readonly DecodeField[], absent: string): Decode {
  return bareSource(fields, absent, false).compile<Decode>("r", "end", "depth");
}

/** The same, stopping between elements and messages. */
export function bareDecoderSteps(fields: readonly DecodeField[], absent: string): DecodeSteps {
  return bareSource(fields, absent, true).compileSteps<DecodeSteps>("r", "end", "depth", "s");
}

function bareSource(fields: readonly DecodeField[], absent: string, inSteps: boolean): FunctionSource {
  const writer = new DecodeSource(fields, "bare", inSteps);
  const { source } = writer;
  writer.open("");
  source.add(`let out = ${literal(absent)};`);
  fields.forEach((item, index) => {
    if (item.printed)
      source.add(`if (${writer.present(index)}) { at = ${index}; out = ${writer.text(index)}; }`);
  });
  source.add("r.pos = end;", "return out;");
  writer.close();
  return source;
}

/** The decoder of a map's entries. */
export function entryDecoder(key: DecodeField, value: DecodeField): DecodeEntry {
  return entrySource(key, value, false).compile<DecodeEntry>("r", "end", "depth", "entries");
}

/** The same, stopping inside of values. */
export function entryDecoderSteps(key: DecodeField, value: DecodeField): DecodeEntrySteps {
  return entrySource(key, value, true).compileSteps<DecodeEntrySteps>("r", "end", "depth", "entries", "s");
}

function entrySource(key: DecodeField, value: DecodeField, inSteps: boolean): FunctionSource {
  const writer = new DecodeSource([key, value], "entry", inSteps);
  const { source } = writer;
  writer.open("");
  if (value.value.kind === "message") {
    source.add("if (s1 < 0) { s1 = end; e1 = end; }", `const text = ${writer.text(1)};`);
  } else {
    if (value.value.kind === "text" && value.value.sparse) source.add("if (dropped) return;");
    source.add(`const text = f1 === "" ? ${literal(value.zero)} : f1;`);
  }
  source.add(`entries.set(f0 === "" ? ${literal(key.zero)} : f0, text);`, "r.pos = end;");
  writer.close();
  return source;
}

class DecodeSource {
  readonly source = new FunctionSource();
  readonly #fields: readonly DecodeField[];
  readonly #object: boolean;
  /** False for map entries, whose fields print their defaults and are no message of their own. */
  readonly #message: boolean;
  readonly #level: Level;
  readonly #inSteps: boolean;
  readonly #oneofs = new Map<unknown, number>();

  constructor(fields: readonly DecodeField[], form: "object" | "bare" | "entry", inSteps: boolean) {
    this.#fields = fields;
    this.#inSteps = inSteps;
    this.#object = form === "object";
    this.#message = form !== "entry";
    this.#level = this.#object ? objectLevel : bareLevel;
    for (const { field } of fields) {
      if (field.oneof !== undefined && !this.#oneofs.has(field.oneof)) {
        this.#oneofs.set(field.oneof, this.#oneofs.size);
      }
    }
  }

  /** The slots and the loop over tags. */
  open(extensions: string): void {
    const { source } = this;
    if (this.#object) source.add(`if (depth <= 0) throw ${source.link(tooDeep)}();`);
    source.add(`r.spend(${this.#message ? cost.gathered + this.#fields.length : cost.furtherKey});`);
    source.add('let at = -1, e = 0, p = 0, t = "", dropped = false, found, i = -1;');
    this.#fields.forEach((_, index) => {
      source.add(this.#slots(index));
    });
    for (const oneof of this.#oneofs.values()) source.add(`let o${oneof} = -1;`);
    source.add("try {", "while (r.pos < end) {", "at = -1; i = -1;");
    if (extensions !== "") source.add("const start = r.pos;");
    source.add("const tag = r.tag();", "switch (tag) {");
    this.#fields.forEach((_, index) => {
      source.add(...this.#cases(index));
    });
    source.add(
      extensions === ""
        ? `default: r.spend(${cost.unknownField}); r.skip(tag, depth);`
        : `default: found = ${extensions}.gather(r, tag, start, found, depth);`,
      "}",
      this.#stop,
      "}",
      "at = -1; i = -1;",
      `if (r.pos !== end) throw ${source.link(truncated)}();`,
    );
  }

  /** Where the function may be left for a while. */
  get #stop(): string {
    return this.#inSteps ? "if (s.over(r)) yield;" : "";
  }

  close(): void {
    const names = this.source.link(this.#fields.map(item => item.name));
    this.source.add(`} catch (error) { throw ${this.source.link(located)}(error, ${names}[at], i); }`);
  }

  /** The condition for a field to have a value. */
  present(index: number): string {
    const { field, value } = this.#fields[index]!;
    const held =
      value.kind === "map"
        ? `f${index} !== undefined`
        : isSpan(this.#fields[index]!)
          ? `s${index} >= 0`
          : `f${index} !== ""`;
    return field.oneof === undefined ? held : `o${this.#oneofs.get(field.oneof)} === ${index} && ${held}`;
  }

  /** The expression for a present field's text. */
  text(index: number): string {
    const { field, value } = this.#fields[index]!;
    if (value.kind === "map") return `${this.source.link(mapText)}(f${index})`;
    if (field.repeated) return `f${index} + "]"`;
    if (value.kind === "text") return `f${index}`;
    const node = this.source.link(value.node);
    const rest = `(r, s${index}, e${index}, m${index}, ${node}, ${this.#level.value}`;
    return this.#inSteps
      ? `(yield* ${this.source.link(messageSteps)}${rest}, s))`
      : `${this.source.link(messageText)}${rest})`;
  }

  /** Refuses a list or a map where no level is left for it. */
  #opens(): string {
    return `if (${this.#level.value} <= 0) throw ${this.source.link(tooDeep)}();`;
  }

  #slots(index: number): string {
    const item = this.#fields[index]!;
    if (item.value.kind === "map") return `let f${index};`;
    if (item.value.kind === "message" && item.field.repeated) return `let f${index} = "", c${index} = 0;`;
    return isSpan(item) ? `let s${index} = -1, e${index} = 0, m${index};` : `let f${index} = "";`;
  }

  #cases(index: number): string[] {
    const { field, value } = this.#fields[index]!;
    const begin = `at = ${index};`;
    if (value.kind === "map") {
      const node = this.source.link(value.node);
      return [
        `case ${tagOf(field.number, LENGTH)}: ${begin} ${this.#opens()} e = r.span(); ${this.#decode(node, `r, e, ${this.#level.inside}, f${index} ??= new Map()`)}; break;`,
      ];
    }
    if (value.kind === "message") return [`case ${this.#messageCase(index, field, value.node)} break;`];
    const type = wireTypeOf(field.kind);
    if (!field.repeated)
      return [`case ${tagOf(field.number, type)}: ${begin} ${this.#singular(index)} break;`];
    const item = this.#append(index);
    const cases = [`case ${tagOf(field.number, type)}: ${begin} ${this.#opens()} ${item} break;`];
    if (type !== LENGTH) {
      const check = `if (r.pos !== e) throw ${this.source.link(truncated)}();`;
      cases.push(
        `case ${tagOf(field.number, LENGTH)}: ${begin} ${this.#opens()} e = r.span(); while (r.pos < e) { ${item} ${this.#stop} } ${check} break;`,
      );
    }
    return cases;
  }

  #singular(index: number): string {
    const { field, value, zero } = this.#fields[index]!;
    if (value.kind !== "text") return "";
    const read = this.source.link(value.read);
    const active = field.oneof === undefined ? "" : ` o${this.#oneofs.get(field.oneof)} = ${index};`;
    if (value.sparse) {
      const taken = `f${index} = t; dropped = false;${active}`;
      return `t = ${read}(r); if (t !== "") { ${taken} } else dropped = true;`;
    }
    const strip =
      this.#message && hasNoPresence(field) ? ` if (f${index} === ${literal(zero)}) f${index} = "";` : "";
    return `f${index} = ${read}(r);${strip}${active}`;
  }

  #append(index: number): string {
    const { value } = this.#fields[index]!;
    if (value.kind !== "text") return "";
    const read = this.source.link(value.read);
    const append = (text: string) =>
      `{ r.spend(${cost.joined}); f${index} += (f${index} === "" ? "[" : ",") + ${text}; if (f${index}.length > ${maxJsonBytes}) throw ${this.source.link(tooLarge)}(); }`;
    return value.sparse ? `t = ${read}(r); if (t !== "") ${append("t")}` : append(`${read}(r)`);
  }

  #decode(node: string, rest: string): string {
    return this.#inSteps ? `(yield* ${node}.decodeSteps(${rest}, s))` : `${node}.decode(${rest})`;
  }

  #messageCase(index: number, field: Field, node: DecodeNode): string {
    const head =
      field.delimited && this.#message
        ? `${tagOf(field.number, START_GROUP)}: at = ${index}; p = r.pos; e = r.group(${field.number}, depth - 1);`
        : `${tagOf(field.number, LENGTH)}: at = ${index}; e = r.span(); p = r.pos; r.pos = e;`;
    if (field.repeated) {
      const decode = this.#decode(this.source.link(node), `r, e, ${this.#level.inside}`);
      return `${head} ${this.#opens()} r.spend(${cost.joined}); { i = c${index}++; const next = r.pos; r.pos = p; f${index} += (f${index} === "" ? "[" : ",") + ${decode}; if (f${index}.length > ${maxJsonBytes}) throw ${this.source.link(tooLarge)}(); r.pos = next; }`;
    }
    const oneof = field.oneof === undefined ? "" : `o${this.#oneofs.get(field.oneof)}`;
    const claim =
      oneof === ""
        ? ""
        : `if (${oneof} !== ${index}) { s${index} = -1; m${index} = undefined; ${oneof} = ${index}; } `;
    const more = `m${index} = ${this.source.link(withSpan)}(m${index}, s${index}, e${index}, p, e);`;
    return `${head} ${claim}if (s${index} < 0) { s${index} = p; e${index} = e; } else { r.spend(${cost.piece}); ${more} }`;
  }
}

function isSpan({ field, value }: DecodeField): boolean {
  return value.kind === "message" && !field.repeated;
}

/** True for fields that are absent when they hold their default. */
export function hasNoPresence(field: Field): boolean {
  return (
    field.repeated || (field.presence === "implicit" && field.kind !== "message" && field.oneof === undefined)
  );
}

/** JSON text of an absent field; undefined where it is left out. */
export function absentText({ field, zero }: DecodeField, emitDefaults: EmitDefaults): string | undefined {
  if (emitDefaults === false) return undefined;
  if (hasNoPresence(field)) return zero;
  const isMember = field.oneof !== undefined || field.proto3Optional;
  return emitDefaults === "with_null" && !isMember ? "null" : undefined;
}
