import { Formats } from "./format.js";
import type { SchemaNode } from "./schema-node.js";

/** Where the user chooses the keys, there is no prototype that a key could reach. */
export function emptyFor(schema: SchemaNode): Record<string, unknown> {
  return schema.properties === undefined ? Object.create(null) : {};
}

/** The loaded form of a schema's default. */
export function defaultOf(schema: SchemaNode): unknown {
  if (schema.type === "object") {
    const loaded = emptyFor(schema);
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (property.default !== undefined) loaded[key] = defaultOf(property);
    }
    return loaded;
  }
  if (schema.format !== undefined) return Formats[schema.format].read(String(schema.default));
  return structuredClone(schema.default);
}
