import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Violation } from "@bufbuild/protovalidate";
import type { FieldViolation } from "../status/failure.js";

/** Keys of maps are part of a path, and texts of rules may hold values: neither may make an answer large. */
const maxText = 512;

/** The path with the fields' proto names, `items[2].labels["a"]`; empty for a rule of the whole message. */
export function fieldViolation({ field, message, ruleId, forKey }: Violation): FieldViolation {
  return {
    field: shortened(pathToString(field)),
    description: shortened(forKey ? `key: ${message}` : message),
    reason: reasonOf(ruleId),
  };
}

/** `string.min_len` as `google.rpc.BadRequest.FieldViolation.reason` has it: STRING_MIN_LEN. */
function reasonOf(ruleId: string): string {
  const words = ruleId.toUpperCase().match(/[A-Z0-9]+/g) ?? [];
  return words.join("_").slice(0, 63);
}

function shortened(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText - 3)}...`;
}
