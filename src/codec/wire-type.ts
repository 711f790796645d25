import type { Field } from "../descriptors/model.js";

/** Wire types (https://protobuf.dev/programming-guides/encoding/#structure). */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const START_GROUP = 3;
export const END_GROUP = 4;
export const FIXED32 = 5;

/** The wire type of one value of a field that is not packed. */
export function wireType(field: Field): number {
  switch (field.kind) {
    case "double":
    case "fixed64":
    case "sfixed64":
      return FIXED64;
    case "float":
    case "fixed32":
    case "sfixed32":
      return FIXED32;
    case "string":
    case "bytes":
    case "message":
      return LENGTH;
    default:
      return VARINT;
  }
}
