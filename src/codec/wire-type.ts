import type { Field } from "../descriptors/model.js";
import { FIXED32, FIXED64, LENGTH, VARINT } from "../wire/wire-type.js";

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
