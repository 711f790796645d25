import type { Field, MessageType } from "../descriptors/model.js";

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

const googleWrappers: ReadonlySet<string> = new Set(
  ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map(
    kind => `google.protobuf.${kind}Value`,
  ),
);

const typesOfOneText = new Set([
  TIMESTAMP,
  DURATION,
  FIELD_MASK,
  ANY,
  STRUCT,
  VALUE,
  LIST_VALUE,
  ...googleWrappers,
]);

/** Full names of messages that a policy prints and reads as the bare value of their field, beside Google's wrappers. */
export type OwnWrappers = ReadonlySet<string>;

export const noWrappers: OwnWrappers = new Set();

/** The value of a message that can be a wrapper: a scalar or enum named `value`, and nothing beside it. */
export function wrappedField(type: MessageType): Field | undefined {
  const [field] = type.fields;
  const isAlone = type.fields.length === 1 && !type.extendable;
  if (!isAlone || field?.name !== "value" || field.repeated || field.message !== undefined) return undefined;
  return field;
}

/** True for the wrapper of a scalar, `google.protobuf.StringValue` and the like. */
export function isWrapper(type: MessageType, own: OwnWrappers): boolean {
  return googleWrappers.has(type.fullName) || own.has(type.fullName);
}

/** True for types whose JSON is not an object of their fields. `Empty` is `{}` and so is not among them. */
export function isWellKnown(type: MessageType | undefined, own: OwnWrappers): boolean {
  return type !== undefined && (typesOfOneText.has(type.fullName) || own.has(type.fullName));
}
