import { FIXED32, FIXED64, LENGTH, VARINT } from "../wire/wire-type.js";
import type { Field } from "./model.js";

/** The wire type of one value of that kind that is not packed. */
export function wireTypeOf(kind: Field["kind"]): number {
  switch (kind) {
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
