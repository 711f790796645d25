import type { Steps } from "../../net/pace.js";
import { varintField } from "../../wire/reader.js";
import { END_GROUP, FIXED32, FIXED64, START_GROUP } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import type { EnumType, Field, MessageType, Model } from "../model.js";
import type { AggregateField, Literal } from "../parse/option.js";
import { wireTypeOf } from "../wire-type.js";

/** Number of `retention` of google.protobuf.FieldOptions: options with the retention SOURCE are not in descriptors. */
export const RETENTION_OPTION = 17;
export const RETENTION_SOURCE = 2;

const unitsPerValue = 1;

/** A value that does not fit its field; the message is for people. */
export class ValueFault extends Error {}

/** Finds an extension by a name written in the option's file. */
export type FindExtension = (name: string) => Field | undefined;

/** Serializes option values as written in `.proto` text. */
export class OptionEncoder {
  constructor(
    readonly model: Pick<Model, "message">,
    readonly find: FindExtension,
  ) {}

  /**
   * Writes `field` with its tag. A list gives a repeated field several values.
   * @throws ValueFault
   */
  *field(field: Field, literal: Literal, into: WireWriter): Steps {
    if (varintField(field.options.bytes, RETENTION_OPTION) === RETENTION_SOURCE) return;
    if (literal.kind === "list") {
      if (!field.repeated) throw new ValueFault(`"${field.name}" is not repeated and cannot take a list`);
      for (const item of literal.items) {
        yield unitsPerValue;
        yield* this.field(field, item, into);
      }
    } else if (field.kind === "message") {
      writeMessage(field, yield* this.message(field.message!, literal), into);
    } else {
      into.tag(field.number, wireTypeOf(field.kind));
      writeScalar(field, literal, into);
    }
  }

  /** The serialized message. @throws ValueFault */
  *message(type: MessageType, literal: Literal): Steps<Uint8Array> {
    if (literal.kind !== "aggregate") {
      throw new ValueFault(`${describe(literal)} is not a message, expected { ... } for ${type.fullName}`);
    }
    const values = new Map<Field, Literal[]>();
    const writer = new WireWriter();
    for (const part of literal.fields) {
      yield unitsPerValue;
      if (part.form === "any") {
        yield* this.#any(type, part, writer);
        continue;
      }
      const field = this.#fieldOf(type, part);
      const known = values.get(field);
      if (known === undefined) values.set(field, [part.value]);
      else if (field.repeated) known.push(part.value);
      else throw new ValueFault(`"${part.name}" is set twice`);
    }
    // In the order of field numbers, so that the bytes do not depend on how the value was written.
    const ordered = [...values].sort(([a], [b]) => a.number - b.number);
    for (const [field, items] of ordered) {
      if (field.packed) yield* writePacked(field, items, writer);
      else for (const item of items) yield* this.present(field, item, writer);
    }
    return writer.finish();
  }

  /**
   * Writes `field` with its tag, unless it has its default and no presence.
   * @throws ValueFault
   */
  *present(field: Field, literal: Literal, into: WireWriter): Steps {
    if (field.presence !== "implicit" || field.repeated || field.parent.mapEntry) {
      yield* this.field(field, literal, into);
      return;
    }
    const value = new WireWriter();
    yield* this.field(field, literal, value);
    const bytes = value.finish();
    const tag = new WireWriter();
    tag.tag(field.number, wireTypeOf(field.kind));
    if (bytes.subarray(tag.finish().length).some(byte => byte !== 0)) into.raw(bytes);
  }

  #fieldOf(type: MessageType, part: AggregateField): Field {
    const field = part.form === "extension" ? this.find(part.name) : fieldNamed(type, part.name);
    if (field !== undefined && field.parent.fullName === type.fullName) return field;
    const what = part.form === "extension" ? "extension" : "field";
    throw new ValueFault(`${type.fullName} has no ${what} "${part.name}"`);
  }

  /** `[type.googleapis.com/full.Name] { ... }` */
  *#any(type: MessageType, { name, value }: AggregateField, into: WireWriter): Steps {
    const target = this.model.message(name.slice(name.lastIndexOf("/") + 1));
    if (type.fullName !== "google.protobuf.Any" || target === undefined) {
      throw new ValueFault(`"${name}" does not name a message for an Any`);
    }
    into.field(1, Buffer.from(name));
    into.field(2, yield* this.message(target, value));
  }
}

/** Writes a message field, as a group where it is one. */
export function writeMessage(field: Field, bytes: Uint8Array, into: WireWriter): void {
  if (!field.delimited) {
    into.field(field.number, bytes);
    return;
  }
  into.tag(field.number, START_GROUP);
  into.raw(bytes);
  into.tag(field.number, END_GROUP);
}

/** Text format names groups by their type. */
function fieldNamed(type: MessageType, name: string): Field | undefined {
  const field = type.fieldsByName.get(name);
  if (field?.name === name) return field;
  const group = type.fieldsByName.get(name.toLowerCase());
  return group?.delimited && group.message?.name === name ? group : undefined;
}

const integerRanges: ReadonlyMap<string, readonly [bigint, bigint]> = new Map([
  ["int32", [-(1n << 31n), (1n << 31n) - 1n]],
  ["sint32", [-(1n << 31n), (1n << 31n) - 1n]],
  ["sfixed32", [-(1n << 31n), (1n << 31n) - 1n]],
  ["uint32", [0n, (1n << 32n) - 1n]],
  ["fixed32", [0n, (1n << 32n) - 1n]],
  ["int64", [-(1n << 63n), (1n << 63n) - 1n]],
  ["sint64", [-(1n << 63n), (1n << 63n) - 1n]],
  ["sfixed64", [-(1n << 63n), (1n << 63n) - 1n]],
  ["uint64", [0n, (1n << 64n) - 1n]],
  ["fixed64", [0n, (1n << 64n) - 1n]],
]);

function* writePacked(field: Field, literals: readonly Literal[], into: WireWriter): Steps {
  const values = new WireWriter();
  for (const literal of literals) {
    for (const item of literal.kind === "list" ? literal.items : [literal]) {
      yield unitsPerValue;
      writeScalar(field, item, values);
    }
  }
  into.field(field.number, values.finish());
}

function writeScalar(field: Field, literal: Literal, into: WireWriter): void {
  switch (field.kind) {
    case "string":
    case "bytes":
      into.delimited(stringValue(field, literal));
      break;
    case "bool":
      into.varint(boolValue(field, literal) ? 1n : 0n);
      break;
    case "enum":
      into.varint(BigInt(enumValue(field.enum!, literal)));
      break;
    case "float":
      into.fixed(BigInt(new Uint32Array(Float32Array.of(floatValue(field, literal)).buffer)[0]!), 4);
      break;
    case "double":
      into.fixed(new BigUint64Array(Float64Array.of(floatValue(field, literal)).buffer)[0]!, 8);
      break;
    default:
      writeInteger(field.kind, integerValue(field, literal), into);
  }
}

function writeInteger(kind: Field["kind"], value: bigint, into: WireWriter): void {
  const wireType = wireTypeOf(kind);
  if (wireType === FIXED32) into.fixed(value, 4);
  else if (wireType === FIXED64) into.fixed(value, 8);
  else into.varint(kind === "sint32" || kind === "sint64" ? (value << 1n) ^ (value >> 63n) : value);
}

function stringValue(field: Field, literal: Literal): Uint8Array {
  if (literal.kind !== "string") throw mismatch(field, literal);
  if (field.utf8 && Buffer.from(literal.value).toString().includes("\ufffd")) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(literal.value);
    } catch {
      throw new ValueFault(`the value of "${field.name}" is not valid UTF-8`);
    }
  }
  return literal.value;
}

function boolValue(field: Field, literal: Literal): boolean {
  if (literal.kind === "identifier" && !literal.negative) {
    if (["true", "True", "t"].includes(literal.text)) return true;
    if (["false", "False", "f"].includes(literal.text)) return false;
  }
  if (literal.kind === "integer" && (literal.value === 0n || literal.value === 1n))
    return literal.value === 1n;
  throw mismatch(field, literal);
}

function enumValue(type: EnumType, literal: Literal): number {
  if (literal.kind === "identifier" && !literal.negative) {
    const value = type.valuesByName.get(literal.text);
    if (value !== undefined) return value.number;
  } else if (literal.kind === "integer") {
    const number = Number(literal.value);
    if (type.valuesByNumber.has(number) || (!type.closed && number === (number | 0))) return number;
  }
  throw new ValueFault(`enum ${type.fullName} has no value ${describe(literal)}`);
}

function floatValue(field: Field, literal: Literal): number {
  if (literal.kind === "float") return literal.value;
  if (literal.kind === "integer") return Number(literal.value);
  if (literal.kind === "identifier") {
    const text = literal.text.toLowerCase();
    if (text === "nan") return Number.NaN;
    if (text === "inf" || text === "infinity") return literal.negative ? -Infinity : Infinity;
  }
  throw mismatch(field, literal);
}

function integerValue(field: Field, literal: Literal): bigint {
  const value =
    literal.kind === "float" && Object.is(literal.value, -0)
      ? 0n
      : literal.kind === "integer" && literal.value;
  const range = integerRanges.get(field.kind);
  if (value === false || range === undefined) throw mismatch(field, literal);
  if (value < range[0] || value > range[1])
    throw new ValueFault(`${value} is out of range for ${field.kind} "${field.name}"`);
  return value;
}

function mismatch(field: Field, literal: Literal): ValueFault {
  return new ValueFault(
    `${describe(literal)} is not ${field.kind === "enum" ? "an enum value" : `a ${field.kind}`} for "${field.name}"`,
  );
}

function describe(literal: Literal): string {
  switch (literal.kind) {
    case "identifier":
      return `"${literal.negative ? "-" : ""}${literal.text}"`;
    case "string":
      return `the string ${JSON.stringify(Buffer.from(literal.value).toString().slice(0, 60))}`;
    case "aggregate":
      return "a { ... } value";
    case "list":
      return "a list";
    default:
      return `the number ${literal.value}`;
  }
}
