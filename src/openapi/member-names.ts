import type { JsonPolicy } from "../codec/codec.js";
import type { Field } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";

export const nullSchema: JsonSchema = { type: "null" };

/** The name of a field as it is printed. */
export function nameOf(field: Field, { names }: JsonPolicy): string {
  return names === "proto" && !field.extension ? field.name : field.jsonName;
}

/** The name by which it is read, too. */
export function otherName(field: Field, { names }: JsonPolicy): string | undefined {
  const other = names === "proto" ? field.jsonName : field.name;
  return field.name !== field.jsonName && field.parent.fieldsByName.get(other) === field ? other : undefined;
}

/** All names by which it is read. */
function namesOf(field: Field, json: JsonPolicy): readonly string[] {
  const other = otherName(field, json);
  return other === undefined ? [nameOf(field, json)] : [nameOf(field, json), other];
}

/** That a field is given, by any of its names. */
export function isGiven(field: Field, json: JsonPolicy): JsonSchema {
  const [name, ...others] = namesOf(field, json).map(each => ({
    required: [each],
    properties: { [each]: true },
  }));
  return others.length === 0 ? (name as JsonSchema) : { anyOf: [name, ...others] };
}

/**
 * That at most one of the fields of a oneof is set, or exactly one; those that are null count as not set.
 * @param otherwise whether one of them comes from elsewhere, so that none may be set here
 */
export function oneOfFields(
  fields: readonly Field[],
  json: JsonPolicy,
  required: boolean,
  otherwise: boolean,
): JsonSchema {
  const names = fields.map(field => namesOf(field, json));
  const unset = { properties: Object.fromEntries(names.flat().map(name => [name, nullSchema])) };
  if (otherwise) return unset;
  const isSet = (name: string): JsonSchema => ({
    required: [name],
    properties: { [name]: { not: nullSchema } },
  });
  const member = (own: readonly string[]): JsonSchema =>
    own.length === 1 ? isSet(own[0] as string) : { anyOf: own.map(isSet) };
  return { oneOf: [...(required ? [] : [unset]), ...names.map(member)] };
}
