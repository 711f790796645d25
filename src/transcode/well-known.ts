import type { MessageType } from "../descriptors/model.js";

/** The types that ProtoJSON writes as one text (https://protobuf.dev/programming-guides/json/). */
export const TIMESTAMP = "google.protobuf.Timestamp";
export const DURATION = "google.protobuf.Duration";
export const FIELD_MASK = "google.protobuf.FieldMask";
export const ANY = "google.protobuf.Any";
export const STRUCT = "google.protobuf.Struct";
export const VALUE = "google.protobuf.Value";
export const LIST_VALUE = "google.protobuf.ListValue";
export const NULL_VALUE = "google.protobuf.NullValue";
export const EMPTY = "google.protobuf.Empty";

const WRAPPERS = new Set(
  ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map(
    kind => `google.protobuf.${kind}Value`,
  ),
);

const SPECIAL = new Set([TIMESTAMP, DURATION, FIELD_MASK, ANY, STRUCT, VALUE, LIST_VALUE, ...WRAPPERS]);

/** True for the wrapper of a scalar, `google.protobuf.StringValue` and the like. */
export function isWrapper(type: MessageType): boolean {
  return WRAPPERS.has(type.fullName);
}

/** True for types whose JSON is not an object of their fields. `Empty` is `{}` and so is not among them. */
export function isWellKnown(type: MessageType | undefined): boolean {
  return type !== undefined && SPECIAL.has(type.fullName);
}
