import type { MessageType, Model } from "../../descriptors/model.js";
import { excerpt, TranscodeError } from "../error.js";
import { writeFieldMask } from "../field-mask.js";
import { type Instant, parseDuration, parseTimestamp } from "../instant.js";
import { createObject, isJsonObject, JsonNumber, type JsonObject, type JsonValue } from "../json.js";
import { EMPTY, isWellKnown, type OwnWrappers } from "../well-known.js";
import { resolveAny } from "../wire-to-json/well-known-text.js";
import { cost } from "../work.js";
import {
  type Encode,
  type EncodeNode,
  type EncodeText,
  type EncodeTextSteps,
  loneSurrogate,
  notObject,
  tooDeep,
} from "./encode.js";
import type { JsonCursor } from "./json-cursor.js";
import { readDecimal, readUtc } from "./json-number.js";
import { decodeBase64, finiteValue, invalid } from "./scalar-value.js";
import type { Writer } from "./writer.js";

/** Encodes `google.protobuf.Timestamp` from its JSON text. */
export const timestampValue: Encode = instantEncoder(parseTimestamp);

/** Encodes `google.protobuf.Duration` from its JSON text. */
export const durationValue: Encode = instantEncoder(parseDuration);

/** Both types are `int64 seconds = 1; int32 nanos = 2;`. */
function instantEncoder(parse: (value: JsonValue) => Instant): Encode {
  return (value, writer) => {
    writeInstant(writer, parse(value));
  };
}

/** The fields of a Timestamp or Duration, without a length. */
function writeInstant(writer: Writer, { seconds, nanos }: Instant): void {
  if (seconds !== 0) {
    writer.uint32(8);
    writer.int64(seconds);
  }
  if (nanos !== 0) {
    writer.uint32(16);
    writer.int32(nanos);
  }
}

/** Encodes `google.protobuf.FieldMask` (`repeated string paths = 1`) from its JSON text. */
export const fieldMaskValue: Encode = (value, writer) => writeFieldMask(value, writer);

/**
 * Encodes `google.protobuf.Value`: null_value 1, number_value 2, string_value 3, bool_value 4, struct_value 5,
 * list_value 6.
 */
export function valueEncoder(struct: EncodeNode, list: EncodeNode): Encode {
  return (value, writer, depth) => {
    if (value === null) {
      writer.uint32(8);
      writer.uint32(0);
    } else if (typeof value === "string") {
      writer.uint32(26);
      if (!writer.string(value)) throw loneSurrogate();
    } else if (typeof value === "boolean") {
      writer.uint32(32);
      writer.bool(value);
    } else if (typeof value === "number" || value instanceof JsonNumber) {
      writer.uint32(17);
      writer.double(finiteValue(value));
    } else {
      const isList = Array.isArray(value);
      writer.uint32(isList ? 50 : 42);
      const start = writer.begin();
      (isList ? list : struct).encode(value, writer, depth);
      writer.end(start);
    }
  };
}

/** Copies `google.protobuf.Timestamp` (`int64 seconds = 1; int32 nanos = 2`) from its JSON text. */
export const copyTimestamp: EncodeText = (cursor, writer) => {
  cursor.spend(cost.utcTime);
  let instant = readUtc(cursor);
  if (instant === undefined) {
    cursor.spend(cost.offsetTime);
    instant = parseTimestamp(cursor.text());
  }
  writeInstant(writer, instant);
};

export const copyDuration: EncodeText = (cursor, writer) => {
  cursor.spend(cost.wellKnownText);
  writeInstant(writer, parseDuration(cursor.text()));
};

export const copyFieldMask: EncodeText = (cursor, writer) => {
  cursor.spend(cost.wellKnownText);
  writeFieldMask(cursor.text(), writer);
};

/** Copies an Any by way of a tree, as its type may follow its fields. */
export function anyCopy(node: EncodeNode): EncodeText {
  return (cursor, writer, depth) => {
    node.encode(cursor.tree(depth), writer, depth);
  };
}

/**
 * Copies `google.protobuf.Value`: null_value 1, number_value 2, string_value 3, bool_value 4, struct_value 5,
 * list_value 6.
 */
export function valueCopy(struct: EncodeNode, list: EncodeNode): EncodeText {
  return (cursor, writer, depth) => {
    if (copyPlainValue(cursor, writer)) return;
    const isList = cursor.bytes[cursor.pos] === OPEN_LIST;
    writer.uint32(isList ? 50 : 42);
    const start = writer.begin();
    (isList ? list : struct).encodeText(cursor, writer, depth);
    writer.end(start);
  };
}

/** `valueCopy` in steps. */
export function valueSteps(struct: EncodeNode, list: EncodeNode): EncodeTextSteps {
  return function* (cursor, writer, depth, slice) {
    if (copyPlainValue(cursor, writer)) return;
    const isList = cursor.bytes[cursor.pos] === OPEN_LIST;
    writer.uint32(isList ? 50 : 42);
    const start = writer.begin();
    yield* (isList ? list : struct).encodeTextSteps(cursor, writer, depth, slice);
    writer.end(start);
  };
}

const OPEN_LIST = 0x5b;

/** @returns false, with nothing written, where the value is a list or an object */
function copyPlainValue(cursor: JsonCursor, writer: Writer): boolean {
  cursor.spend(cost.value);
  switch (cursor.bytes[cursor.pos]) {
    case 0x6e:
      cursor.null();
      writer.uint32(8);
      writer.uint32(0);
      return true;
    case 0x22:
      writer.uint32(26);
      cursor.string(writer);
      return true;
    case 0x74:
    case 0x66:
      writer.uint32(32);
      writer.bool(cursor.bool());
      return true;
    case OPEN_LIST:
    case 0x7b:
      return false;
    default: {
      const number = readDecimal(cursor);
      writer.uint32(17);
      writer.double(Number.isNaN(number) ? finiteValue(cursor.number()) : number);
      return true;
    }
  }
}

/**
 * Encodes `google.protobuf.Any` (`string type_url = 1; bytes value = 2`) from `{"@type": url, ...fields}`, for types
 * with a JSON form of their own from `{"@type": url, "value": json}`, and for types that the model lacks from
 * `{"@type": url, "value": base64}`, which is how they are printed.
 */
export function anyEncoder(
  model: Model,
  ignoreUnknown: boolean,
  wrappers: OwnWrappers,
  nodeOf: (type: MessageType) => EncodeNode,
): Encode {
  return (value, writer, depth) => {
    if (depth <= 0) throw tooDeep();
    if (!isJsonObject(value)) throw notObject(value);
    const typeUrl = value["@type"];
    if (typeUrl === undefined) {
      if (Object.keys(value).length === 0) return;
      throw new TranscodeError("INVALID_VALUE", "@type", 'an Any must name its type in "@type"');
    }
    if (typeof typeUrl !== "string" || !typeUrl.includes("/")) {
      throw invalid('a type URL such as "type.googleapis.com/google.rpc.ErrorInfo"', typeUrl).within("@type");
    }
    writer.uint32(10);
    if (!writer.string(typeUrl)) throw loneSurrogate().within("@type");

    const type = resolveAny(model, typeUrl);
    if (type === undefined) {
      const bytes = opaqueBytes(typeUrl, value);
      if (bytes.length === 0) return;
      writer.uint32(18);
      writer.bytes(bytes);
      return;
    }
    const length = writer.length;
    writer.uint32(18);
    const start = writer.begin();
    if (isWellKnown(type, wrappers)) {
      const inner = onlyValue(type, value, ignoreUnknown);
      try {
        nodeOf(type).encode(inner, writer, depth - 1);
      } catch (error) {
        throw error instanceof TranscodeError ? error.within("value") : error;
      }
    } else {
      nodeOf(type).encode(fieldsOf(type, value), writer, depth);
    }
    if (writer.length === start) writer.truncate(length);
    else writer.end(start);
  };
}

function opaqueBytes(typeUrl: string, value: JsonObject): Uint8Array {
  const text = value.value;
  const bytes = typeof text === "string" && Object.keys(value).length === 2 ? decodeBase64(text) : undefined;
  if (bytes !== undefined) return bytes;
  throw new TranscodeError(
    "INVALID_VALUE",
    "@type",
    `the type ${JSON.stringify(excerpt(typeUrl))} is not known; its bytes would be taken as base64 in "value"`,
  );
}

function onlyValue(type: MessageType, value: JsonObject, ignoreUnknown: boolean): JsonValue {
  for (const name in value) {
    if (name === "@type" || name === "value" || ignoreUnknown) continue;
    const shown = excerpt(name);
    const message = `an Any of ${type.fullName} has the members "@type" and "value" only`;
    throw new TranscodeError("UNKNOWN_FIELD", shown, message);
  }
  const inner = value.value;
  if (inner === undefined) {
    throw new TranscodeError("INVALID_VALUE", "value", `an Any of ${type.fullName} needs the member "value"`);
  }
  return inner;
}

function fieldsOf(type: MessageType, value: JsonObject): JsonObject {
  // Some writers give Empty the form of the well-known types, {"@type": url, "value": {}}.
  const inner = value.value;
  if (type.fullName === EMPTY && inner !== undefined && isJsonObject(inner)) return inner;
  const fields = createObject();
  for (const name in value) if (name !== "@type") fields[name] = value[name]!;
  return fields;
}
