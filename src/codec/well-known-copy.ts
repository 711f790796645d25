import type { EncodeNode, EncodeText } from "./encode-step.js";
import { readDecimal, readUtc } from "./json-number.js";
import { finiteValue } from "./scalar-value.js";
import { parseTimestamp } from "./timestamp.js";
import { writeInstant } from "./well-known-value.js";

/** Copies `google.protobuf.Timestamp` (`int64 seconds = 1; int32 nanos = 2`) from its JSON text. */
export const copyTimestamp: EncodeText = (cursor, writer) => {
  writeInstant(writer, readUtc(cursor) ?? parseTimestamp(cursor.text()));
};

/** Copies by way of a tree: for types whose text cannot be read from its beginning, or is rare. */
export function treeCopy(node: EncodeNode): EncodeText {
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
    switch (cursor.bytes[cursor.pos]) {
      case 0x6e:
        cursor.null();
        writer.uint32(8);
        writer.uint32(0);
        return;
      case 0x22:
        writer.uint32(26);
        cursor.string(writer);
        return;
      case 0x74:
      case 0x66:
        writer.uint32(32);
        writer.bool(cursor.bool());
        return;
      case 0x5b:
      case 0x7b: {
        const isList = cursor.bytes[cursor.pos] === 0x5b;
        writer.uint32(isList ? 50 : 42);
        const start = writer.begin();
        (isList ? list : struct).encodeText(cursor, writer, depth);
        writer.end(start);
        return;
      }
      default: {
        const number = readDecimal(cursor);
        writer.uint32(17);
        writer.double(Number.isNaN(number) ? finiteValue(cursor.number()) : number);
      }
    }
  };
}
