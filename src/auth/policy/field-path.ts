import { malformed, Reader } from "../../codec/wire-to-json/reader.js";
import type { Field } from "../../descriptors/model.js";
import { wireTypeOf } from "../../descriptors/wire-type.js";
import { LENGTH, START_GROUP } from "../../wire/wire-type.js";

/**
 * The value of a field as a rule compares it: integers of any width as bigint, enums by number, repeated fields as
 * lists. Bytes and floats, which are not compared, are 0n exactly where they have their default.
 */
export type FieldValue = string | bigint | boolean | number | readonly FieldValue[];

/** A singular message, or one entry of a map with texts as keys, on the way to a field. */
export interface PathStep {
  readonly field: Field;
  /** Set exactly for map fields. */
  readonly key: string | undefined;
}

/** Where a value ended up. */
export type Found =
  /** Set in the message. */
  | { readonly kind: "set"; readonly value: FieldValue }
  /** Not set; its default counts. */
  | { readonly kind: "unset" }
  /** The path leads through a map entry that does not exist. */
  | { readonly kind: "nowhere" };

/** The parts of a message, start and end in turn. Parsers merge parts as if they followed each other. */
type Spans = readonly number[];

const unset: Found = { kind: "unset" };
const missingEntry: Found = { kind: "nowhere" };
const none: readonly Field[] = [];
const groupDepth = 100;

/**
 * A reader of one field, compiled once. It finds in serialized messages the same value as any parser
 * (https://protobuf.dev/programming-guides/encoding/): the last value of a singular field, messages merged, packed
 * and unpacked lists, nothing of a oneof's member that another member came after, nothing of another wire type.
 * A message or a map as the leaf is read as `true` where it is there.
 * @throws TranscodeError from the reader, where the bytes are no message
 */
export function fieldReader(path: readonly PathStep[], leaf: PathStep): (message: Uint8Array) => Found {
  const descents = path.map(descent);
  const read = leafReader(leaf);
  return message => {
    const reader = new Reader(message);
    let spans: Spans = [0, message.length];
    for (const descend of descents) {
      const inner = descend(reader, spans);
      if (inner === undefined) return missingEntry;
      spans = inner;
    }
    return read(reader, spans);
  };
}

type Descent = (reader: Reader, spans: Spans) => Spans | undefined;

function descent({ field, key }: PathStep): Descent {
  if (field.map === undefined || key === undefined) return (reader, spans) => contents(reader, spans, field);
  const { map } = field;
  return (reader, spans) => {
    const entry = entryOf(reader, spans, field, key);
    return entry === undefined ? undefined : contents(reader, entry, map.value);
  };
}

function leafReader({ field, key }: PathStep): (reader: Reader, spans: Spans) => Found {
  if (field.map !== undefined && key !== undefined) {
    const read = leafReader({ field: field.map.value, key: undefined });
    return (reader, spans) => {
      const entry = entryOf(reader, spans, field, key);
      return entry === undefined ? missingEntry : read(reader, entry);
    };
  }
  if (field.message !== undefined) {
    return (reader, spans) =>
      contents(reader, spans, field).length > 0 ? { kind: "set", value: true } : unset;
  }
  return field.repeated
    ? (reader, spans) => listOf(reader, spans, field)
    : (reader, spans) => lastOf(reader, spans, field);
}

/** The contents of a message field, in all parts. */
function contents(reader: Reader, spans: Spans, field: Field): Spans {
  const found: number[] = [];
  const wireType = field.delimited ? START_GROUP : LENGTH;
  eachField(reader, spans, field, wireType, matches => {
    if (!matches) {
      found.length = 0;
      return;
    }
    const { start, end } = bounds(reader, field);
    found.push(start, end);
  });
  return found;
}

/** The content of the last entry of a map that has this key. */
function entryOf(reader: Reader, spans: Spans, field: Field, key: string): Spans | undefined {
  const keyField = field.map?.key as Field;
  let found: Spans | undefined;
  eachField(reader, spans, field, LENGTH, matches => {
    if (!matches) return;
    const { start, end } = bounds(reader, field);
    const entry = [start, end];
    const own = lastOf(reader, entry, keyField);
    if ((own.kind === "set" ? own.value : "") === key) found = entry;
    reader.pos = end;
  });
  return found;
}

function lastOf(reader: Reader, spans: Spans, field: Field): Found {
  let found: FieldValue | undefined;
  eachField(reader, spans, field, wireTypeOf(field.kind), matches => {
    if (!matches) found = undefined;
    else found = readValue(reader, field) ?? found;
  });
  return found === undefined ? unset : { kind: "set", value: found };
}

function listOf(reader: Reader, spans: Spans, field: Field): Found {
  const values: FieldValue[] = [];
  const add = (): void => {
    const value = readValue(reader, field);
    if (value !== undefined) values.push(value);
  };
  const single = wireTypeOf(field.kind);
  const packable = single !== LENGTH;
  walk(reader, spans, tag => {
    if (tag >>> 3 !== field.number) return false;
    if ((tag & 7) === single) {
      add();
      return true;
    }
    if (!packable || (tag & 7) !== LENGTH) return false;
    const end = reader.span();
    while (reader.pos < end) add();
    if (reader.pos !== end) throw malformed("a packed list ends within a value");
    return true;
  });
  return values.length === 0 ? unset : { kind: "set", value: values };
}

/**
 * Calls `take` for every occurrence of the field, `true`, with the reader at its value, and for every occurrence of
 * another member of its oneof, `false`, which unsets the field.
 */
function eachField(
  reader: Reader,
  spans: Spans,
  field: Field,
  wireType: number,
  take: (matches: boolean) => void,
): void {
  const alternatives = field.oneof === undefined ? none : field.oneof.fields.filter(other => other !== field);
  walk(reader, spans, tag => {
    const number = tag >>> 3;
    if (number === field.number && (tag & 7) === wireType) {
      take(true);
      return true;
    }
    if (alternatives.some(alternative => alternative.number === number && isOf(alternative, tag & 7)))
      take(false);
    return false;
  });
}

/** Walks the fields of a message; fields that `visit` does not read are skipped. */
function walk(reader: Reader, spans: Spans, visit: (tag: number) => boolean): void {
  for (let index = 0; index < spans.length; index += 2) {
    const end = spans[index + 1] as number;
    reader.pos = spans[index] as number;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (!visit(tag)) reader.skip(tag, groupDepth);
    }
    if (reader.pos !== end) throw malformed("a message ends within a field");
  }
}

function isOf(field: Field, type: number): boolean {
  return type === (field.delimited ? START_GROUP : wireTypeOf(field.kind));
}

/** The content of the message whose tag was read; leaves the reader behind it. */
function bounds(reader: Reader, field: Field): { readonly start: number; readonly end: number } {
  if (field.delimited) {
    const start = reader.pos;
    return { start, end: reader.group(field.number, groupDepth) };
  }
  const end = reader.span();
  const start = reader.pos;
  reader.pos = end;
  return { start, end };
}

/** One value; undefined where a closed enum does not have it. */
function readValue(reader: Reader, field: Field): FieldValue | undefined {
  switch (field.kind) {
    case "string": {
      const end = reader.span();
      const start = reader.pos;
      reader.pos = end;
      return reader.bytes.toString("utf8", start, end);
    }
    case "bool":
      reader.varint64();
      return (reader.low | reader.high) !== 0;
    case "enum": {
      const number = reader.uint32() | 0;
      return field.enum?.closed && !field.enum.valuesByNumber.has(number) ? undefined : number;
    }
    case "int32":
      return BigInt(reader.uint32() | 0);
    case "uint32":
      return BigInt(reader.uint32());
    case "sint32": {
      const coded = reader.uint32();
      return BigInt((coded >>> 1) ^ -(coded & 1));
    }
    case "fixed32":
      return BigInt(reader.fixed32());
    case "sfixed32":
      return BigInt(reader.fixed32() | 0);
    case "int64":
      reader.varint64();
      return BigInt.asIntN(64, varint64(reader));
    case "uint64":
      reader.varint64();
      return varint64(reader);
    case "sint64": {
      reader.varint64();
      const coded = varint64(reader);
      return (coded >> 1n) ^ -(coded & 1n);
    }
    case "fixed64":
      reader.fixed64();
      return varint64(reader);
    case "sfixed64":
      reader.fixed64();
      return BigInt.asIntN(64, varint64(reader));
    case "float":
      return BigInt(reader.fixed32());
    case "double":
      reader.fixed64();
      return varint64(reader);
    case "bytes": {
      const end = reader.span();
      const length = end - reader.pos;
      reader.pos = end;
      return BigInt(length);
    }
    case "message":
      throw new Error(`${field.fullName} has no value of its own`);
  }
}

function varint64(reader: Reader): bigint {
  return (BigInt(reader.high) << 32n) | BigInt(reader.low);
}
