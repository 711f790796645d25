import { DURATION, FIELD_MASK, TIMESTAMP } from "../codec/well-known.js";
import type { Field, ScalarKind } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { integersBetween } from "./integer-pattern.js";

/** Names with a dash are free: no message has one. */
const integers = {
  "json-int32": integerSchema("int32", -(2n ** 31n), 2n ** 31n - 1n),
  "json-uint32": integerSchema("uint32", 0n, 2n ** 32n - 1n),
  "json-int64": integerSchema("int64", -(2n ** 63n), 2n ** 63n - 1n),
  "json-uint64": integerSchema("uint64", 0n, 2n ** 64n - 1n),
} as const;

/** Texts of numbers that a double, or a float, surely holds; further forms are read as well. */
const doubleText = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]+)?([eE][+-]?[0-9]{1,2})?";
const floatText = "-?(0|[1-9][0-9]{0,37})(\\.[0-9]+)?([eE]-[0-9]{1,2})?";

const path = "[a-z][A-Za-z0-9]*(\\.[a-z][A-Za-z0-9]*)*";

/** Schemas shared by several fields, too long to be repeated in each. */
export const sharedSchemas = {
  ...integers,
  "json-double": {
    type: ["number", "string"],
    format: "double",
    pattern: `^(${doubleText}|NaN|-?Infinity)$`,
    description: "A number, also as a string, or NaN, Infinity or -Infinity.",
  },
  "json-float": {
    type: ["number", "string"],
    format: "float",
    minimum: -3.4028234663852886e38,
    maximum: 3.4028234663852886e38,
    pattern: `^(${floatText}|NaN|-?Infinity)$`,
    description: "A number, also as a string, or NaN, Infinity or -Infinity.",
  },
  "json-bytes": {
    type: "string",
    contentEncoding: "base64",
    pattern: "^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}(==)?|[A-Za-z0-9+/_-]{3}=?)?$",
    description: "Bytes in base64, in the standard or the URL-safe alphabet, with padding or without.",
  },
  "json-timestamp": {
    type: "string",
    format: "date-time",
    pattern:
      "^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
    description: "A time of RFC 3339 from year 1 to 9999, with up to nine digits of a second.",
  },
  "json-duration": {
    type: "string",
    pattern: "^-?[0-9]{1,11}(\\.[0-9]{1,9})?s$",
    description: "Seconds with up to nine digits behind the point, and `s`: `1.5s`.",
  },
  "json-field-mask": {
    type: "string",
    pattern: `^(|\\*|${path}(,${path})*)$`,
    description: "Paths of fields in lowerCamelCase, with commas between them: `title,author.name`.",
  },
} as const satisfies Readonly<Record<string, JsonSchema>>;

export type SharedName = keyof typeof sharedSchemas;

const sharedOfKind: Readonly<Partial<Record<Field["kind"], SharedName>>> = {
  double: "json-double",
  float: "json-float",
  int32: "json-int32",
  sint32: "json-int32",
  sfixed32: "json-int32",
  uint32: "json-uint32",
  fixed32: "json-uint32",
  int64: "json-int64",
  sint64: "json-int64",
  sfixed64: "json-int64",
  uint64: "json-uint64",
  fixed64: "json-uint64",
  bytes: "json-bytes",
};

/** The accepted values of a scalar in a body; the name of a shared schema, or a schema. */
export function readScalar(kind: ScalarKind): SharedName | JsonSchema {
  return sharedOfKind[kind] ?? { type: kind === "bool" ? "boolean" : "string" };
}

/** The accepted and printed values of the well-known types that have one text. */
export function sharedOfType(fullName: string): SharedName | undefined {
  switch (fullName) {
    case TIMESTAMP:
      return "json-timestamp";
    case DURATION:
      return "json-duration";
    case FIELD_MASK:
      return "json-field-mask";
    default:
      return undefined;
  }
}

/** The printed values of a scalar. */
export function printedScalar(kind: ScalarKind, int64: "string" | "number"): JsonSchema {
  switch (kind) {
    case "string":
      return { type: "string" };
    case "bool":
      return { type: "boolean" };
    case "bytes":
      return { type: "string", contentEncoding: "base64" };
    case "double":
    case "float":
      return {
        anyOf: [
          { type: "number", format: kind },
          { type: "string", enum: ["NaN", "Infinity", "-Infinity"] },
        ],
      };
    case "int64":
    case "sint64":
    case "sfixed64":
      return { type: int64 === "string" ? "string" : ["integer", "string"], format: "int64" };
    case "uint64":
    case "fixed64":
      return { type: int64 === "string" ? "string" : ["integer", "string"], format: "uint64" };
    case "uint32":
    case "fixed32":
      return { type: "integer", format: "uint32" };
    default:
      return { type: "integer", format: "int32" };
  }
}

/** The texts of keys of maps: the members of JSON objects. */
export function keySchema(kind: Field["kind"]): JsonSchema | undefined {
  if (kind === "string") return undefined;
  if (kind === "bool") return { enum: ["true", "false"] };
  const shared = sharedOfKind[kind];
  const pattern =
    shared !== undefined && shared in integers ? integers[shared as keyof typeof integers].pattern : "";
  return { pattern };
}

function integerSchema(format: string, least: bigint, most: bigint) {
  return {
    type: ["integer", "string"],
    format,
    minimum: Number(least),
    maximum: Number(most),
    pattern: `^(${integersBetween(least, most)})$`,
    description: "An integer, as a number or as a string.",
  } as const;
}
