import { parseDuration } from "./duration.js";
import type { Encode, EncodeNode } from "./encode-step.js";
import { halfPair } from "./encode-step.js";
import { writeFieldMask } from "./field-mask.js";
import { JsonNumber, type JsonValue } from "./json.js";
import { finiteValue } from "./scalar-value.js";
import { type Instant, parseTimestamp } from "./timestamp.js";
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
export function writeInstant(writer: Writer, { seconds, nanos }: Instant): void {
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
      if (!writer.string(value)) throw halfPair();
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
