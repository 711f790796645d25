import type { TSchema } from "typebox";
import { durationText, sizeText } from "./expectation.js";
import { Formats } from "./format.js";
import { nodeOf, requiredKeys, type SchemaNode } from "./schema.js";

type Published = Readonly<Record<string, unknown>>;

const anySubstitution = "$" + "{NAME}";
const substitution = { $ref: "#/definitions/substitution" };

/**
 * The JSON Schema (draft-07, the one that editors know best) of the configuration as it is written: durations
 * and sizes are text, keys with a default may be left out, and `${...}` may stand for any scalar.
 */
export function publishedSchema(schema: TSchema): Published {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    $id: "protogate.schema.json",
    title: "Protogate configuration",
    ...published(nodeOf(schema)),
    definitions: {
      substitution: {
        description: `A value from the environment or a file: \${NAME}, \${NAME:-default} or \${file:/path}.`,
        type: "string",
        pattern: "\\$\\{",
      },
    },
  };
}

function published(schema: SchemaNode): Published {
  const { properties, patternProperties, items, anyOf, required, propertyNames, ...rest } = schema;
  if (isScalar(schema)) return publishedScalar(schema);
  const keys = requiredKeys(schema);
  return defined({
    ...rest,
    properties: properties && mapValues(properties, published),
    patternProperties: patternProperties && mapValues(patternProperties, published),
    additionalProperties: schema.type === "object" ? false : undefined,
    required: keys.length === 0 ? undefined : keys,
    items: items && published(items),
    anyOf: anyOf?.map(published),
  });
}

/** Description and default stay outside of the alternatives: that is where editors look for them. */
function publishedScalar(schema: SchemaNode): Published {
  const { description, default: fallback, format, minimum, maximum, ...rest } = schema;
  const about = { description: description && `${description}${bounds(schema)}`, default: fallback };
  const pattern = format && Formats[format].pattern;
  const value = schema.type === "string" ? { ...rest, pattern } : { ...rest, pattern, minimum, maximum };
  const substitutable = schema.type === "string" && new RegExp(pattern ?? "").test(anySubstitution);
  return defined(
    substitutable ? { ...about, ...value } : { ...about, anyOf: [defined(value), substitution] },
  );
}

function bounds({ format, minimum, maximum }: SchemaNode): string {
  if (minimum === undefined || maximum === undefined) return "";
  if (format === "duration") return ` From ${durationText(minimum)} to ${durationText(maximum)}.`;
  return format === "size" ? ` From ${sizeText(minimum)} to ${sizeText(maximum)}.` : "";
}

function isScalar(schema: SchemaNode): boolean {
  return schema.anyOf === undefined && schema.type !== "object" && schema.type !== "array";
}

function mapValues(
  record: Readonly<Record<string, SchemaNode>>,
  change: (schema: SchemaNode) => Published,
): Published {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function defined(keywords: Published): Published {
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== undefined));
}
