import type { Field, ScalarKind } from "../../descriptors/model.js";
import { wireTypeOf } from "../../descriptors/wire-type.js";
import { END_GROUP, LENGTH, START_GROUP, tagOf } from "../../wire/wire-type.js";
import { keySegment, TranscodeError } from "../error.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../json.js";
import type { Long } from "./decimal.js";
import {
  conflict,
  duplicate,
  type Encode,
  type EncodeNode,
  type ExtraMembers,
  located,
  loneSurrogate,
  missing,
  notList,
  notObject,
  tooDeep,
} from "./encode.js";
import type { Writer } from "./writer.js";

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
 * Writes a field's value with its tags.
 * @param depth levels of JSON objects and lists that may still open, the value's own included
 */
type WriteField = (value: JsonValue, writer: Writer, depth: number) => void;

interface FieldPlan {
  readonly item: EncodeField;
  readonly write: WriteField;
}

/** A member of an object that gives a field, and the one after it: an array would cost twice as much for a few. */
interface Given {
  readonly plan: FieldPlan;
  readonly value: JsonValue;
  next: Given | undefined;
}

/**
 * The encoder of a message from an object. It is interpreted, as it gets only texts that one pass does not understand;
 * its cost grows with the members that are present, not with the fields of the type.
 */
export function objectEncoder(
  fields: readonly EncodeField[],
  names: ReadonlyMap<string, number>,
  extra: ExtraMembers,
  extendable: boolean,
): Encode {
  const plans = fields.map(item => ({ item, write: fieldWriter(item) }));
  const byName = new Map([...names].map(([name, index]) => [name, plans[index]!]));
  const required = plans.filter(({ item }) => isRequired(item.field));
  return (object, writer, depth) => {
    if (depth <= 0) throw tooDeep();
    if (!isJsonObject(object)) throw notObject(object);
    let first: Given | undefined;
    let end: Given | undefined;
    let claims: Map<unknown, string> | undefined;
    let found: Map<Field, JsonValue> | undefined;
    let inOrder = true;
    for (const name in object) {
      const value = object[name]!;
      const plan = byName.get(name);
      if (plan === undefined) {
        found = extra.gather(name, value, found);
        continue;
      }
      const { field, nullable } = plan.item;
      const other = name === field.jsonName ? field.name : field.jsonName;
      if (other !== name && object[other] !== undefined && byName.get(other) === plan) {
        throw duplicate(other, field.jsonName);
      }
      if (value === null && !nullable) continue;
      if (field.oneof !== undefined && isKnown(plan.item, value, object)) {
        claims ??= new Map();
        const earlier = claims.get(field.oneof);
        if (earlier !== undefined) throw conflict(name, earlier);
        claims.set(field.oneof, name);
      }
      const member = { plan, value, next: undefined };
      if (end === undefined) {
        first = member;
      } else {
        if (field.number < end.plan.item.field.number) inOrder = false;
        end.next = member;
      }
      end = member;
    }
    if (!inOrder) first = sorted(first);
    for (let member = first; member !== undefined; member = member.next) {
      try {
        member.plan.write(member.value, writer, depth - 1);
      } catch (error) {
        throw located(error, member.plan.item, object);
      }
    }
    if (required.length > 0) refuseMissing(required, first);
    if (extendable && found !== undefined) extra.write(found, writer, depth);
  };
}

/** False for the name of an unknown enum value that is left out: it does not claim its oneof. */
function isKnown(item: EncodeField, value: JsonValue, object: JsonObject): boolean {
  if (item.value.kind !== "scalar" || !item.value.sparse) return true;
  try {
    return item.value.convert(value) !== undefined;
  } catch (error) {
    throw located(error, item, object);
  }
}

/** By the numbers of the fields. */
function sorted(first: Given | undefined): Given | undefined {
  const members = listed(first).sort((a, b) => a.plan.item.field.number - b.plan.item.field.number);
  members.forEach((member, index) => {
    member.next = members[index + 1];
  });
  return members[0];
}

function listed(first: Given | undefined): Given[] {
  const members: Given[] = [];
  for (let member = first; member !== undefined; member = member.next) members.push(member);
  return members;
}

function refuseMissing(required: readonly FieldPlan[], first: Given | undefined): void {
  const present = new Set(listed(first).map(({ plan }) => plan));
  for (const plan of required) if (!present.has(plan)) throw missing(plan.item.label);
}

/**
 * The encoder of a single field, tag included, from its bare value.
 * @param nullAbsent whether null means that the field is absent; else null is a value like others
 */
export function bareEncoder(item: EncodeField, nullAbsent: boolean): Encode {
  const write = fieldWriter(item);
  const isAbsent = (value: JsonValue) => nullAbsent && !item.nullable && value === null;
  return (value, writer, depth) => {
    if (isAbsent(value)) {
      if (isRequired(item.field)) throw missing(item.label);
      return;
    }
    try {
      write(value, writer, depth);
    } catch (error) {
      throw located(error, item, undefined);
    }
  };
}

function isRequired(field: Field): boolean {
  return field.presence === "required" && !field.repeated;
}

function fieldWriter(item: EncodeField): WriteField {
  const { field, value } = item;
  if (field.map !== undefined) return mapWriter(item, field.map);
  if (!field.repeated)
    return valueWriter(value, field, field.presence === "implicit" && field.oneof === undefined);
  if (field.packed && value.kind === "scalar") return packedWriter(value, field);
  const write = valueWriter(value, field, false);
  return (list, writer, depth) => {
    eachElement(list, depth, element => write(element, writer, depth - 1));
  };
}

/** @param skipsDefault whether the default of the kind is left out */
function valueWriter(value: ValueWriter, field: Field, skipsDefault: boolean): WriteField {
  if (value.kind === "message") {
    const { node } = value;
    if (field.delimited && !field.parent.mapEntry) {
      return (json, writer, depth) => {
        writer.uint32(tagOf(field.number, START_GROUP));
        node.encode(json, writer, depth);
        writer.uint32(tagOf(field.number, END_GROUP));
      };
    }
    const opening = tagOf(field.number, LENGTH);
    return (json, writer, depth) => {
      writer.uint32(opening);
      const start = writer.begin();
      node.encode(json, writer, depth);
      writer.end(start);
    };
  }
  const { convert } = value;
  const write = scalarWriters[value.method];
  const opening = tagOf(field.number, wireTypeOf(field.kind));
  return (json, writer) => {
    const scalar = convert(json);
    if (scalar === undefined || (skipsDefault && isDefault(scalar))) return;
    writer.uint32(opening);
    write(writer, scalar);
  };
}

function packedWriter(value: Extract<ValueWriter, { kind: "scalar" }>, field: Field): WriteField {
  const { convert } = value;
  const write = scalarWriters[value.method];
  const opening = tagOf(field.number, LENGTH);
  return (list, writer, depth) => {
    if (Array.isArray(list) && list.length === 0 && depth > 0) return;
    let start = -1;
    eachElement(list, depth, element => {
      if (start < 0) {
        writer.uint32(opening);
        start = writer.begin();
      }
      const scalar = convert(element);
      if (scalar !== undefined) write(writer, scalar);
    });
    writer.end(start);
  };
}

function mapWriter(item: EncodeField, entry: { readonly key: Field; readonly value: Field }): WriteField {
  const { field, value } = item;
  const key = item.key!;
  const writeKey = scalarWriters[key.method];
  const writeValue = valueWriter(value, entry.value, false);
  const opening = tagOf(field.number, LENGTH);
  const keyOpening = tagOf(entry.key.number, wireTypeOf(entry.key.kind));
  return (map, writer, depth) => {
    if (!isJsonObject(map)) throw notObject(map);
    if (depth <= 0) throw tooDeep();
    for (const name in map) {
      try {
        const converted = key.convert(name);
        const json = map[name]!;
        if (value.kind === "scalar" && value.sparse && value.convert(json) === undefined) continue;
        writer.uint32(opening);
        const start = writer.begin();
        writer.uint32(keyOpening);
        writeKey(writer, converted);
        writeValue(json, writer, depth - 1);
        writer.end(start);
      } catch (error) {
        throw error instanceof TranscodeError ? error.within(keySegment(name)) : error;
      }
    }
  };
}

function eachElement(list: JsonValue, depth: number, write: (element: JsonValue) => void): void {
  if (!Array.isArray(list)) throw notList(list);
  if (depth <= 0) throw tooDeep();
  let index = 0;
  try {
    for (; index < list.length; index++) write(list[index]!);
  } catch (error) {
    throw error instanceof TranscodeError ? error.within(`[${index}]`) : error;
  }
}

/** True for a value that a field without presence leaves out. */
function isDefault(scalar: unknown): boolean {
  if (scalar instanceof Uint8Array) return scalar.length === 0;
  return Object.is(scalar, 0) || scalar === "" || scalar === false;
}

const scalarWriters: Readonly<Record<WriterMethod, (writer: Writer, scalar: unknown) => void>> = {
  double: (writer, scalar) => writer.double(scalar as number),
  float: (writer, scalar) => writer.float(scalar as number),
  int32: (writer, scalar) => writer.int32(scalar as number),
  uint32: (writer, scalar) => writer.uint32(scalar as number),
  sint32: (writer, scalar) => writer.sint32(scalar as number),
  fixed32: (writer, scalar) => writer.fixed32(scalar as number),
  int64: (writer, scalar) => writer.int64(scalar as number | Long),
  sint64: (writer, scalar) => writer.sint64(scalar as number | Long),
  fixed64: (writer, scalar) => writer.fixed64(scalar as number | Long),
  bool: (writer, scalar) => writer.bool(scalar as boolean),
  bytes: (writer, scalar) => writer.bytes(scalar as Uint8Array),
  string: (writer, scalar) => {
    if (!writer.string(scalar as string)) throw loneSurrogate();
  },
};
