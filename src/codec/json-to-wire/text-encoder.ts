import type { Field } from "../../descriptors/model.js";
import { wireTypeOf } from "../../descriptors/wire-type.js";
import { END_GROUP, LENGTH, START_GROUP, tagOf } from "../../wire/wire-type.js";
import { bareLevel, FunctionSource, type Level, objectLevel } from "../function-source.js";
import { keyCost } from "../work.js";
import type { EncodeText, EncodeTextSteps } from "./encode.js";
import { BAIL, type JsonCursor } from "./json-cursor.js";
import { NameTable } from "./name-table.js";
import { scalarCopy } from "./scalar-copy.js";
import type { EncodeField } from "./tree-encoder.js";

const pauseCheck = " if (s.over(c, w)) yield;";

/** Members that one 32-bit word can mark as seen. */
const bitsOfWord = 31;

/**
 * The one-pass encoder of a message from an object. Generated: one loop over the members, each copied to the wire in
 * its order.
 * @param names every name that a member may have, and the index of its field in `fields`
 * @param apart fields that come from elsewhere: their members bail, and they are not missed where they are required
 */
export function objectTextEncoder(
  fields: readonly EncodeField[],
  names: ReadonlyMap<string, number>,
  apart: ReadonlySet<Field>,
): EncodeText {
  return objectSource(fields, names, apart, false).compile<EncodeText>("c", "w", "depth");
}

/** The same, stopping between members and elements. */
export function objectTextSteps(
  fields: readonly EncodeField[],
  names: ReadonlyMap<string, number>,
  apart: ReadonlySet<Field>,
): EncodeTextSteps {
  return objectSource(fields, names, apart, true).compileSteps<EncodeTextSteps>("c", "w", "depth", "s");
}

function objectSource(
  fields: readonly EncodeField[],
  names: ReadonlyMap<string, number>,
  apart: ReadonlySet<Field>,
  inSteps: boolean,
): FunctionSource {
  const writer = new TextSource(objectLevel, inSteps);
  const { source } = writer;
  const bail = source.link(BAIL);
  const taken = new Map([...names].filter(([, index]) => !apart.has(fields[index]!.field)));
  const table = new NameTable(
    fields.map(item => item.label),
    taken,
  );
  const oneofs = [...new Set(fields.flatMap(({ field }) => field.oneof ?? []))];
  source.add(`if (depth <= 0) throw ${bail};`);
  writer.open();
  for (let word = 0; word * bitsOfWord < fields.length; word++) source.add(`let s${word} = 0;`);
  oneofs.forEach((_, index) => {
    source.add(`let o${index} = false;`);
  });
  source.add(
    "let k = -1;",
    "if (c.openObject()) do {",
    `k = c.member(${source.link(table)}, k + 1);`,
    "switch (k) {",
  );
  fields.forEach((item, index) => {
    const { field, nullable } = item;
    if (apart.has(field)) return;
    const seen = `s${Math.floor(index / bitsOfWord)}`;
    const bit = 1 << (index % bitsOfWord);
    const isRequired = field.presence === "required" && !field.repeated;
    source.add(`case ${index}: if ((${seen} & ${bit}) !== 0) throw ${bail}; ${seen} |= ${bit};`);
    if (!nullable) source.add(`if (c.null()) ${isRequired ? `throw ${bail}` : "break"};`);
    if (field.oneof !== undefined) {
      const claimed = `o${oneofs.indexOf(field.oneof)}`;
      source.add(`if (${claimed}) throw ${bail}; ${claimed} = true;`);
    }
    source.add(`${writer.field(item)} break;`);
  });
  source.add(`default: throw ${bail};`, "}", inSteps ? pauseCheck : "", "} while (c.nextMember());");
  fields.forEach(({ field }, index) => {
    if (field.presence !== "required" || field.repeated || apart.has(field)) return;
    source.add(
      `if ((s${Math.floor(index / bitsOfWord)} & ${1 << (index % bitsOfWord)}) === 0) throw ${bail};`,
    );
  });
  return source;
}

/**
 * The one-pass encoder of a single field, tag included, from its bare value.
 * @param nullAbsent whether null means that the field is absent; else null is a value like others
 */
export function bareTextEncoder(item: EncodeField, nullAbsent: boolean): EncodeText {
  return bareSource(item, nullAbsent, false).compile<EncodeText>("c", "w", "depth");
}

/** The same, stopping between elements. */
export function bareTextSteps(item: EncodeField, nullAbsent: boolean): EncodeTextSteps {
  return bareSource(item, nullAbsent, true).compileSteps<EncodeTextSteps>("c", "w", "depth", "s");
}

function bareSource(item: EncodeField, nullAbsent: boolean, inSteps: boolean): FunctionSource {
  const writer = new TextSource(bareLevel, inSteps);
  writer.open();
  writer.source.add("c.spend(3);");
  if (nullAbsent && !item.nullable) writer.source.add("if (c.null()) return;");
  writer.source.add(writer.field(item));
  return writer.source;
}

class TextSource {
  readonly source = new FunctionSource();
  readonly #level: Level;
  readonly #inSteps: boolean;

  constructor(level: Level, inSteps: boolean) {
    this.#level = level;
    this.#inSteps = inSteps;
  }

  open(): void {
    this.source.add("let p = 0, q = 0, key, keys;");
  }

  /** Copies a field's value, with its tags. */
  field(item: EncodeField): string {
    const { field } = item;
    if (field.map !== undefined) return this.#map(item, field.map);
    if (!field.repeated) {
      const sparse = field.presence === "implicit" && field.oneof === undefined;
      return this.#value(item, field, this.#level.value, sparse);
    }
    if (!field.packed || item.value.kind === "message") {
      return this.#inside("openList", "nextElement", this.#value(item, field, this.#level.inside, false));
    }
    const copy = `${this.source.link(scalarCopy(field))}(c, w, 0, false);`;
    return this.#deep(
      `if (c.openList()) { w.uint32(${tagOf(field.number, LENGTH)}); p = w.begin(); do { ${copy}${this.#stop} } while (c.nextElement()); w.end(p); }`,
    );
  }

  #map(item: EncodeField, entry: { readonly key: Field; readonly value: Field }): string {
    const key = item.key!;
    const body = [
      `key = c.key(); keys = ${this.source.link(addKey)}(c, keys, key);`,
      `w.uint32(${tagOf(item.field.number, LENGTH)}); q = w.begin();`,
      `w.uint32(${tagOf(entry.key.number, wireTypeOf(entry.key.kind))}); w.${key.method}(${this.source.link(key.convert)}(key));`,
      this.#value(item, entry.value, this.#level.inside, false),
      "w.end(q);",
    ].join(" ");
    return `keys = undefined; ${this.#inside("openObject", "nextMember", body)}`;
  }

  #value({ value }: EncodeField, field: Field, depth: string, sparse: boolean): string {
    if (value.kind === "scalar") {
      return `${this.source.link(scalarCopy(field))}(c, w, ${tagOf(field.number, wireTypeOf(field.kind))}, ${sparse});`;
    }
    const node = this.source.link(value.node);
    const encode = this.#inSteps
      ? `yield* ${node}.encodeTextSteps(c, w, ${depth}, s);`
      : `${node}.encodeText(c, w, ${depth});`;
    return field.delimited && !field.parent.mapEntry
      ? `w.uint32(${tagOf(field.number, START_GROUP)}); ${encode} w.uint32(${tagOf(field.number, END_GROUP)});`
      : `w.uint32(${tagOf(field.number, LENGTH)}); p = w.begin(); ${encode} w.end(p);`;
  }

  #inside(open: string, next: string, body: string): string {
    return this.#deep(`if (c.${open}()) do { ${body}${this.#stop} } while (c.${next}());`);
  }

  get #stop(): string {
    return this.#inSteps ? pauseCheck : "";
  }

  #deep(body: string): string {
    return `if (${this.#level.value} <= 0) throw ${this.source.link(BAIL)}; ${body}`;
  }
}

/** The keys of a map so far and one more. */
function addKey(cursor: JsonCursor, keys: Set<string> | undefined, key: string): Set<string> {
  cursor.spend(keyCost(keys?.size ?? 0));
  if (keys === undefined) return new Set([key]);
  if (keys.has(key)) throw BAIL;
  return keys.add(key);
}
