import { asBuffer } from "../../net/buffer.js";
import { WireReader } from "../../wire/reader.js";
import { FIXED32, FIXED64, LENGTH, START_GROUP, VARINT } from "../../wire/wire-type.js";
import type { Field, MessageType, Model, OptionValue } from "../model.js";
import { wireTypeOf } from "../wire-type.js";

const maxOptionDepth = 100;
const utf8 = new TextDecoder();

type Lookup = Pick<Model, "extension">;

/** One occurrence of a field on the wire: the bits of a number, or the bytes of a length-delimited value or a group. */
interface Occurrence {
  readonly wireType: number;
  readonly bits: bigint;
  readonly bytes: Uint8Array;
}

/**
 * Decodes the message fields of `bytes` that the model knows; unknown ones are left out.
 * @throws RangeError where the bytes are not a message of the type
 */
export function decodeMessage(type: MessageType, bytes: Uint8Array, model: Lookup, depth = 0): OptionValue {
  if (depth > maxOptionDepth) throw new RangeError("nested too deep");
  const plain = decodePlain(type, bytes, model, depth);
  if (plain !== undefined) return plain;
  const value: Record<string, OptionValue> = Object.create(null);
  for (const [number, occurrences] of occurrencesByNumber(bytes)) {
    const field = type.fieldsByNumber.get(number) ?? model.extension(type.fullName, number);
    if (field === undefined) continue;
    value[field.extension ? `[${field.fullName}]` : field.name] = decodeField(
      field,
      occurrences,
      model,
      depth,
    );
  }
  return value;
}

/** The same for most rules of routes: each field comes once, and is a text or a message. Undefined for all others. */
function decodePlain(
  type: MessageType,
  bytes: Uint8Array,
  model: Lookup,
  depth: number,
): OptionValue | undefined {
  const value: Record<string, OptionValue> = Object.create(null);
  const reader = new WireReader(bytes);
  while (reader.next()) {
    const field = type.fieldsByNumber.get(reader.number);
    if (field === undefined || field.repeated || reader.wireType !== LENGTH || field.name in value)
      return undefined;
    if (field.kind === "string") value[field.name] = textOf(reader.delimited());
    else if (field.kind === "message")
      value[field.name] = decodeMessage(field.message!, reader.delimited(), model, depth + 1);
    else return undefined;
  }
  return value;
}

/** Calls of decoders cost more than short texts do. */
function textOf(bytes: Uint8Array): string {
  if (bytes.length > maxShortText) return utf8.decode(bytes);
  for (const byte of bytes) if (byte >= 0x80) return utf8.decode(bytes);
  return asBuffer(bytes).toString("latin1");
}

const maxShortText = 256;

/**
 * The value of one field of a serialized message, undefined where it is not set.
 * @throws RangeError where the bytes do not fit the field's type
 */
export function decodeSingle(field: Field, message: Uint8Array, model: Lookup): OptionValue | undefined {
  const occurrences = occurrencesOf(field.number, message);
  return occurrences === undefined ? undefined : decodeField(field, occurrences, model, 0);
}

function occurrencesOf(number: number, message: Uint8Array): Occurrence[] | undefined {
  let found: Occurrence[] | undefined;
  const reader = new WireReader(message);
  while (reader.next()) {
    if (reader.number !== number) {
      reader.skip();
      continue;
    }
    found ??= [];
    found.push(readOccurrence(reader, reader.wireType));
  }
  return found;
}

function occurrencesByNumber(message: Uint8Array): Map<number, Occurrence[]> {
  const found = new Map<number, Occurrence[]>();
  const reader = new WireReader(message);
  while (reader.next()) {
    const { number, wireType } = reader;
    const occurrence = readOccurrence(reader, wireType);
    const known = found.get(number);
    if (known === undefined) found.set(number, [occurrence]);
    else known.push(occurrence);
  }
  return found;
}

const noBytes = new Uint8Array();

function readOccurrence(reader: WireReader, wireType: number): Occurrence {
  switch (wireType) {
    case VARINT:
      return { wireType, bits: reader.varint(), bytes: noBytes };
    case FIXED32:
      return { wireType, bits: BigInt(reader.fixed32()), bytes: noBytes };
    case FIXED64:
      return { wireType, bits: reader.fixed64(), bytes: noBytes };
    case LENGTH:
      return { wireType, bits: 0n, bytes: reader.delimited() };
    case START_GROUP:
      return { wireType, bits: 0n, bytes: reader.group() };
    default:
      throw new RangeError(`wire type ${wireType}`);
  }
}

function decodeField(
  field: Field,
  occurrences: readonly Occurrence[],
  model: Lookup,
  depth: number,
): OptionValue {
  if (field.map !== undefined) return decodeMap(field.map, occurrences, model, depth);
  if (field.message !== undefined && !field.repeated) {
    // Occurrences of one message merge, and concatenation on the wire means merging.
    return decodeMessage(
      field.message,
      occurrences.length === 1 ? occurrences[0]!.bytes : Buffer.concat(occurrences.map(({ bytes }) => bytes)),
      model,
      depth + 1,
    );
  }
  const values = occurrences
    .flatMap(one => expand(field, one))
    .map(one => decodeOne(field, one, model, depth));
  if (field.repeated) return values;
  const last = values.at(-1);
  if (last === undefined) throw new RangeError("no value");
  return last;
}

function decodeMap(
  { key, value }: NonNullable<Field["map"]>,
  occurrences: readonly Occurrence[],
  model: Lookup,
  depth: number,
): OptionValue {
  const map: Record<string, OptionValue> = Object.create(null);
  for (const { bytes } of occurrences) {
    const entry = occurrencesByNumber(bytes);
    const name = decodeField(key, entry.get(1) ?? [zero(key)], model, depth + 1);
    map[String(name)] = decodeField(value, entry.get(2) ?? [zero(value)], model, depth + 1);
  }
  return map;
}

function zero(field: Field): Occurrence {
  return { wireType: wireTypeOf(field.kind), bits: 0n, bytes: noBytes };
}

/** A packed run as single occurrences. */
function expand(field: Field, occurrence: Occurrence): Occurrence[] {
  const wireType = wireTypeOf(field.kind);
  if (!field.repeated || occurrence.wireType !== LENGTH || wireType === LENGTH) return [occurrence];
  const reader = new WireReader(occurrence.bytes);
  const found: Occurrence[] = [];
  while (reader.position < occurrence.bytes.length) found.push(readOccurrence(reader, wireType));
  return found;
}

function decodeOne(
  field: Field,
  { wireType, bits, bytes }: Occurrence,
  model: Lookup,
  depth: number,
): OptionValue {
  const expected = wireTypeOf(field.kind);
  if (wireType !== expected && !(field.message !== undefined && wireType === START_GROUP)) {
    throw new RangeError(`wire type ${wireType} for ${field.kind}`);
  }
  switch (field.kind) {
    case "message":
      return decodeMessage(field.message!, bytes, model, depth + 1);
    case "enum": {
      const number = Number(BigInt.asIntN(32, bits));
      return field.enum!.valuesByNumber.get(number)?.name ?? number;
    }
    case "string":
      return utf8.decode(bytes);
    case "bytes":
      return bytes;
    case "bool":
      return bits !== 0n;
    case "float":
      return new Float32Array(Uint32Array.of(Number(bits)).buffer)[0]!;
    case "double":
      return new Float64Array(BigUint64Array.of(bits).buffer)[0]!;
    case "int32":
    case "sfixed32":
      return Number(BigInt.asIntN(32, bits));
    case "uint32":
    case "fixed32":
      return Number(BigInt.asUintN(32, bits));
    case "sint32":
      return Number(BigInt.asIntN(32, zigZag(bits)));
    case "int64":
    case "sfixed64":
      return BigInt.asIntN(64, bits);
    case "sint64":
      return BigInt.asIntN(64, zigZag(bits));
    default:
      return bits;
  }
}

function zigZag(bits: bigint): bigint {
  return (bits >> 1n) ^ -(bits & 1n);
}
