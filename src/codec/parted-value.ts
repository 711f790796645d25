import type { Field, MessageType } from "../descriptors/model.js";
import { formatDuration } from "./duration.js";
import { TranscodeError } from "./error.js";
import { formatMaskPath } from "./field-mask.js";
import type { JsonValue } from "./json.js";
import { int32Value, int64Value, invalid } from "./scalar-value.js";
import { formatTimestamp } from "./timestamp.js";
import { DURATION, FIELD_MASK, isWrapper, type OwnWrappers, TIMESTAMP } from "./well-known.js";

const PARTED = new Set([TIMESTAMP, DURATION, FIELD_MASK]);

/** True for well-known types with a text form that a query may also give field by field: `t.seconds=5`. */
export function isParted(type: MessageType, wrappers: OwnWrappers): boolean {
  return PARTED.has(type.fullName) || isWrapper(type, wrappers);
}

/**
 * The JSON value of a well-known type from values of its fields.
 * @param parts by field; lists for repeated fields
 * @throws TranscodeError INVALID_VALUE where together they are no value of the type
 */
export function partedValue(type: MessageType, parts: ReadonlyMap<Field, JsonValue>): JsonValue {
  switch (type.fullName) {
    case TIMESTAMP:
      return instant(type, parts, formatTimestamp, "a time in the years 0001 to 9999");
    case DURATION:
      return instant(
        type,
        parts,
        formatDuration,
        "a duration whose seconds and nanos are in range and of one sign",
      );
    case FIELD_MASK:
      return mask([...parts.values()].flat());
    default:
      return [...parts.values()][0] ?? null;
  }
}

function instant(
  type: MessageType,
  parts: ReadonlyMap<Field, JsonValue>,
  format: (seconds: number, nanos: number) => string | undefined,
  expected: string,
): string {
  const part = (name: string): JsonValue => parts.get(type.fieldsByName.get(name) as Field) ?? 0;
  const text = format(Number(int64Value(part("seconds"))), int32Value(part("nanos")));
  if (text !== undefined) return text;
  const found = `${part("seconds")} seconds and ${part("nanos")} nanos`;
  throw new TranscodeError("INVALID_VALUE", "", `expected ${expected}, found ${found}`);
}

function mask(paths: readonly JsonValue[]): string {
  return paths
    .filter(path => path !== "")
    .map(path => {
      const bytes = Buffer.from(typeof path === "string" ? path : "");
      const text = Buffer.alloc(bytes.length);
      const end = formatMaskPath(bytes, 0, bytes.length, text, 0);
      if (end < 0) throw invalid('a field path such as "author.first_name"', path);
      return text.toString("utf8", 0, end);
    })
    .join(",");
}
