import type { Field } from "../descriptors/model.js";
import type { JsonValue } from "./json.js";
import { int32Value, int64Value, invalid, uint32Value, uint64Value } from "./scalar-value.js";

/** One spelling a number, so that two names cannot mean one key. */
const CANONICAL_INTEGER = /^(?:0|-?[1-9][0-9]{0,19})$/;

type KeyValue = string | boolean | number | bigint;

/**
 * How the member names of a map's JSON object become keys.
 * @throws TranscodeError INVALID_VALUE (the function returned) where a name is no key of that kind
 */
export function mapKeyValue(key: Field): (name: string) => KeyValue {
  switch (key.kind) {
    case "string":
      return name => name;
    case "bool":
      return name => {
        if (name !== "true" && name !== "false") throw invalid('the map key "true" or "false"', name);
        return name === "true";
      };
    case "int32":
    case "sint32":
    case "sfixed32":
      return integerKey(int32Value);
    case "uint32":
    case "fixed32":
      return integerKey(uint32Value);
    case "int64":
    case "sint64":
    case "sfixed64":
      return integerKey(int64Value);
    default:
      return integerKey(uint64Value);
  }
}

function integerKey(convert: (value: JsonValue) => number | bigint): (name: string) => KeyValue {
  return name => {
    if (!CANONICAL_INTEGER.test(name)) throw invalid("an integer as map key", name);
    return convert(name);
  };
}
