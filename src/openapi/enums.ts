import type { JsonPolicy } from "../codec/codec.js";
import type { EnumType } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { describeComment } from "./comment.js";

const int32 = { type: "integer", format: "int32" };
const open = { ...int32, minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };

/** The accepted values of an enum: names and numbers, those without a name as well unless the enum is closed. */
export function readEnum(type: EnumType, { unknownFields }: JsonPolicy): JsonSchema {
  const names = type.values.map(({ name }) => name);
  // Values without a name are left out like unknown fields.
  const byName =
    unknownFields === "ignore" ? { type: "string", examples: names } : { type: "string", enum: names };
  const byNumber = type.closed ? { enum: [...type.valuesByNumber.keys()] } : open;
  return { anyOf: [byName, byNumber], ...about(type) };
}

/** The printed values of an enum. */
export function printedEnum(type: EnumType, { enums }: JsonPolicy): JsonSchema {
  if (enums === "number") return { ...int32, ...about(type) };
  const names = { type: "string", enum: type.values.map(({ name }) => name) };
  // A backend may know values that its descriptors here do not.
  return type.closed ? { ...names, ...about(type) } : { anyOf: [names, int32], ...about(type) };
}

/** The values of an enum in a path or a query; an unknown name is always refused there. */
export function enumText(type: EnumType): JsonSchema {
  const names = { type: "string", enum: type.values.map(({ name }) => name) };
  const byNumber = type.closed ? { enum: [...type.valuesByNumber.keys()] } : open;
  return { anyOf: [names, byNumber], ...about(type) };
}

/** Those of the values whose numbers are allowed, by name and by number. */
export function someOfEnum(type: EnumType, numbers: readonly number[]): JsonSchema {
  const names = type.values.filter(({ number }) => numbers.includes(number)).map(({ name }) => name);
  return { enum: [...names, ...numbers], ...about(type) };
}

function about(type: EnumType): JsonSchema {
  const lines = type.values.flatMap(value => {
    const comment = describeComment(value.comment).replace(/\s+/g, " ");
    const old = value.deprecated ? "Deprecated. " : "";
    return comment === "" && old === "" ? [] : [`- \`${value.name}\`: ${old}${comment}`];
  });
  const texts = [describeComment(type.comment), lines.join("\n")].filter(text => text !== "");
  return {
    ...(texts.length === 0 ? {} : { description: texts.join("\n\n") }),
    ...(type.deprecated ? { deprecated: true } : {}),
  };
}
