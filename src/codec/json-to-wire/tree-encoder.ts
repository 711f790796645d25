import type { Field, ScalarKind } from "../../descriptors/model.js";
import { BARE_LEVEL, FunctionSource, type Level, literal, OBJECT_LEVEL } from "../function-source.js";
import { isJsonObject, type JsonValue } from "../json.js";
import { END_GROUP, LENGTH, START_GROUP, wireType } from "../wire-type.js";
import {
  conflict,
  type Encode,
  type EncodeNode,
  type ExtraMembers,
  located,
  loneSurrogate,
  missing,
  notList,
  notObject,
  tooDeep,
  twice,
} from "./encode.js";

/** How one JSON value of a field is checked and written. */
export type ValueWriter =
  | {
      readonly kind: "scalar";
      readonly convert: (value: JsonValue) => unknown;
      readonly method: WriterMethod;
      /** `convert` may give undefined: leave the value out. */
      readonly sparse: boolean;
    }
  | { readonly kind: "message"; readonly node: EncodeNode };

/** The Writer's methods that write one scalar. */
export type WriterMethod = Exclude<ScalarKind, "uint64" | "sfixed32" | "sfixed64">;

export interface EncodeField {
  readonly field: Field;
  /** Name in the paths of errors; empty adds nothing. */
  readonly label: string;
  /** Of the field, of a list's elements or of a map's values. */
  readonly value: ValueWriter;
  /** Set exactly for maps. */
  readonly key: { readonly convert: (name: string) => unknown; readonly method: WriterMethod } | undefined;
  /** JSON null is a value of the field (google.protobuf.Value and NullValue) instead of meaning absent. */
  readonly nullable: boolean;
}

/** The names that a member may have, and the index of its field in `fields`. */
export function memberNames(fields: readonly EncodeField[]): ReadonlyMap<string, number> {
  const names = new Map<string, number>();
  fields.forEach(({ field }, index) => {
    names.set(field.name, index);
  });
  // Where one field's JSON name is another's proto name, JSON wins.
  fields.forEach(({ field }, index) => {
    names.set(field.jsonName, index);
  });
  return names;
}

/**
 * The encoder of a message from an object. Generated: one pass over the object's members puts each value into its
 * field's slot, then the slots are written by field number.
 */
export function objectEncoder(
  fields: readonly EncodeField[],
  names: ReadonlyMap<string, number>,
  extra: ExtraMembers,
  extendable: boolean,
): Encode {
  const writer = new EncodeSource(fields, OBJECT_LEVEL);
  const { source } = writer;
  source.add(`if (depth <= 0) throw ${source.link(tooDeep)}();`);
  writer.open();
  source.add(`if (!${source.link(isJsonObject)}(v)) throw ${source.link(notObject)}(v);`);
  const oneofs = [...new Set(fields.flatMap(({ field }) => field.oneof ?? []))];
  oneofs.forEach((_, index) => {
    source.add(`let o${index};`);
  });
  source.add(
    "let found;",
    "for (const name in v) {",
    "const x = v[name];",
    `switch (${source.link(names)}.get(name)) {`,
  );
  fields.forEach((item, index) => {
    const { field } = item;
    const check = `if (f${index} !== undefined) throw ${source.link(twice)}(name, ${literal(field.jsonName)});`;
    source.add(`case ${index}: ${check} f${index} = x;`);
    if (field.oneof !== undefined) {
      const slot = `o${oneofs.indexOf(field.oneof)}`;
      const claim = `if (${slot} !== undefined) throw ${source.link(conflict)}(name, ${slot}); ${slot} = name;`;
      source.add(`${claimCondition(source, item, index)}{ ${claim} }`);
    }
    source.add("at = -1; break;");
  });
  const rest = source.link(extra);
  source.add(`default: found = ${rest}.gather(name, x, found);`, "}", "}");
  writer.writeAll();
  if (extendable) source.add(`if (found !== undefined) { at = -1; ${rest}.write(found, w, depth); }`);
  return writer.close();
}

/** When a member claims its oneof: null does not, nor does the name of an unknown enum value that is left out. */
function claimCondition(source: FunctionSource, { value, nullable }: EncodeField, index: number): string {
  const present = nullable ? "" : "x !== null";
  if (value.kind === "message" || !value.sparse) return present === "" ? "" : `if (${present}) `;
  const known = `${source.link(value.convert)}(x) !== undefined`;
  return `at = ${index}; if (${[present, known].filter(Boolean).join(" && ")}) `;
}

/**
 * The encoder of a single field, tag included, from its bare value.
 * @param nullAbsent whether null means that the field is absent; else null is a value like others
 */
export function bareEncoder(item: EncodeField, nullAbsent: boolean): Encode {
  const writer = new EncodeSource([nullAbsent ? item : { ...item, nullable: true }], BARE_LEVEL);
  writer.open();
  writer.source.add("f0 = v;");
  writer.writeAll();
  return writer.close();
}

class EncodeSource {
  readonly source = new FunctionSource();
  readonly #fields: readonly EncodeField[];
  readonly #level: Level;

  constructor(fields: readonly EncodeField[], level: Level) {
    this.#fields = fields;
    this.#level = level;
  }

  open(): void {
    const { source } = this;
    source.add("let at = -1, i = -1, key, n, p = 0;");
    this.#fields.forEach((_, index) => {
      source.add(`let f${index};`);
    });
    source.add("try {");
  }

  close(): Encode {
    const fields = this.source.link(this.#fields);
    const parent = this.#level === OBJECT_LEVEL ? "v" : "undefined";
    const at = `${fields}[at], ${parent}, i, key`;
    this.source.add(`} catch (error) { throw ${this.source.link(located)}(error, ${at}); }`);
    return this.source.compile<Encode>("v", "w", "depth");
  }

  /** Writes the slots by field number. */
  writeAll(): void {
    const order = this.#fields.map((_, index) => index);
    order.sort((a, b) => this.#fields[a]!.field.number - this.#fields[b]!.field.number);
    for (const index of order) {
      const { field, label, nullable } = this.#fields[index]!;
      const slot = `f${index}`;
      const present = nullable ? `${slot} !== undefined` : `${slot} !== undefined && ${slot} !== null`;
      this.source.add(`if (${present}) { at = ${index}; ${this.#write(index, slot)} }`);
      if (field.presence === "required" && !field.repeated) {
        this.source.add(`else { at = -1; throw ${this.source.link(missing)}(${literal(label)}); }`);
      }
    }
  }

  #write(index: number, slot: string): string {
    const { field, key } = this.#fields[index]!;
    if (key !== undefined) return this.#map(index, slot);
    if (field.repeated) return this.#list(index, slot);
    return this.#value(index, slot, field, this.#level.value);
  }

  /** One value with its tag. */
  #value(index: number, expression: string, field: Field, depth: string): string {
    const { value } = this.#fields[index]!;
    if (value.kind === "scalar") {
      const convert = `n = ${this.source.link(value.convert)}(${expression});`;
      const write = `${tag(field, wireType(field))} ${this.#scalar(value.method, "n")}`;
      const worth = field.repeated ? [] : skipsDefault(field);
      if (value.sparse) worth.push("n !== undefined");
      return worth.length === 0
        ? `${convert} ${write}`
        : `${convert} if (${worth.join(" && ")}) { ${write} }`;
    }
    const encode = `${this.source.link(value.node)}.encode(${expression}, w, ${depth});`;
    if (field.delimited) return `${tag(field, START_GROUP)} ${encode} ${tag(field, END_GROUP)}`;
    return `${tag(field, LENGTH)} p = w.begin(); ${encode} w.end(p);`;
  }

  #list(index: number, slot: string): string {
    const { field, value } = this.#fields[index]!;
    const check = `if (!Array.isArray(${slot})) throw ${this.source.link(notList)}(${slot}); ${this.#opens()}`;
    const loop = (body: string) => `for (i = 0; i < ${slot}.length; i++) { ${body} } i = -1;`;
    if (field.packed && value.kind === "scalar") {
      const write = `n = ${this.source.link(value.convert)}(${slot}[i]); ${value.sparse ? "if (n !== undefined) " : ""}${this.#scalar(value.method, "n")}`;
      return `${check} if (${slot}.length > 0) { ${tag(field, LENGTH)} p = w.begin(); ${loop(write)} w.end(p); }`;
    }
    return `${check} ${loop(this.#value(index, `${slot}[i]`, field, this.#level.inside))}`;
  }

  #map(index: number, slot: string): string {
    const { field, key, value } = this.#fields[index]!;
    const entry = field.map!;
    const check = `if (!${this.source.link(isJsonObject)}(${slot})) throw ${this.source.link(notObject)}(${slot}); ${this.#opens()}`;
    const open = `${tag(field, LENGTH)} const start = w.begin(); ${tag(entry.key, wireType(entry.key))} ${this.#scalar(key!.method, "k")}`;
    const head = `const k = ${this.source.link(key!.convert)}(key);`;
    let body: string;
    if (value.kind === "scalar") {
      const convert = `n = ${this.source.link(value.convert)}(${slot}[key]);${value.sparse ? " if (n === undefined) continue;" : ""}`;
      body = `${head} ${convert} ${open} ${tag(entry.value, wireType(entry.value))} ${this.#scalar(value.method, "n")} w.end(start);`;
    } else {
      const encode = `${this.source.link(value.node)}.encode(${slot}[key], w, ${this.#level.inside});`;
      body = `${head} ${open} ${tag(entry.value, LENGTH)} p = w.begin(); ${encode} w.end(p); w.end(start);`;
    }
    return `${check} for (key in ${slot}) { ${body} } key = undefined;`;
  }

  /** Refuses a list or a map where no level is left for it. */
  #opens(): string {
    return `if (${this.#level.value} <= 0) throw ${this.source.link(tooDeep)}();`;
  }

  #scalar(method: WriterMethod, expression: string): string {
    const write = `w.${method}(${expression})`;
    return method === "string" ? `if (!${write}) throw ${this.source.link(loneSurrogate)}();` : `${write};`;
  }
}

/** Conditions under which a converted value is written: fields without presence leave out their default. */
function skipsDefault(field: Field): string[] {
  if (field.presence !== "implicit" || field.oneof !== undefined) return [];
  switch (field.kind) {
    case "string":
      return ['n !== ""'];
    case "bytes":
      return ["n.length !== 0"];
    case "bool":
      return ["n"];
    case "double":
    case "float":
      return ["(n !== 0 || 1 / n < 0)"];
    default:
      return ["n !== 0"];
  }
}

function tag(field: Field, type: number): string {
  return `w.uint32(${((field.number << 3) | type) >>> 0});`;
}
