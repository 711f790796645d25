import { durationText, sizeText } from "./expectation.js";
import { Formats } from "./format.js";
import { configJsonSchema, type JsonSchema, requiredKeys } from "./json-schema.js";

type Published = Readonly<Record<string, unknown>>;

const substitution = { $ref: "#/definitions/substitution" };

/**
 * The JSON Schema (draft-07, the one that editors know best) of the configuration as it is written: durations
 * and sizes are text, keys with a default may be left out, and `${...}` may stand for any scalar.
 */
export function publishedSchema(): Published {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    $id: "protogate.schema.json",
    title: "Protogate configuration",
    ...published(configJsonSchema),
    definitions: {
      substitution: {
        description: `A value from the environment or a file: \${NAME}, \${NAME:-default} or \${file:/path}.`,
        type: "string",
        pattern: "\\$\\{",
      },
    },
  };
}

function published(schema: JsonSchema): Published {
  const { properties, patternProperties, items, anyOf, required, propertyNames, ...rest } = schema;
  if (anyOf !== undefined)
    return { ...rest, anyOf: [...anyOf.map(published), ...(anyOf.some(isScalar) ? [substitution] : [])] };
  if (isScalar(schema)) return publishedScalar(schema);
  const keys = requiredKeys(schema);
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: mapValues(properties, published) }),
    ...(patternProperties === undefined
      ? {}
      : { patternProperties: mapValues(patternProperties, published), additionalProperties: false }),
    ...(keys.length === 0 ? {} : { required: keys }),
    ...(items === undefined ? {} : { items: published(items) }),
  };
}

/** Description and default stay outside of the alternatives: that is where editors look for them. */
function publishedScalar(schema: JsonSchema): Published {
  const { description, default: fallback, format, minimum, maximum, ...rest } = schema;
  const about = {
    ...(description === undefined ? {} : { description: `${description}${bounds(schema)}` }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
  const pattern = format === undefined ? undefined : Formats[format].pattern;
  if (rest.type === "string" && pattern === undefined) return { ...about, ...rest };
  const value = {
    ...rest,
    ...(pattern === undefined ? {} : { pattern }),
    ...(rest.type === "string" || minimum === undefined ? {} : { minimum }),
    ...(rest.type === "string" || maximum === undefined ? {} : { maximum }),
  };
  return { ...about, anyOf: [value, substitution] };
}

function bounds({ format, minimum, maximum }: JsonSchema): string {
  if (minimum === undefined || maximum === undefined) return "";
  if (format === "duration") return ` From ${durationText(minimum)} to ${durationText(maximum)}.`;
  return format === "size" ? ` From ${sizeText(minimum)} to ${sizeText(maximum)}.` : "";
}

function isScalar(schema: JsonSchema): boolean {
  return schema.anyOf === undefined && schema.type !== "object" && schema.type !== "array";
}

function mapValues(
  record: Readonly<Record<string, JsonSchema>>,
  change: (schema: JsonSchema) => Published,
): Published {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
