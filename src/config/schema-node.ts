import type { FormatName } from "./format.js";
import { ConfigSchema } from "./schema.js";

/** The keywords of JSON Schema that the configuration's schema uses. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  /** As written in YAML; `{}` for a section whose keys have defaults. */
  readonly default?: unknown;
  readonly format?: FormatName;
  readonly enum?: readonly (string | number)[];
  readonly const?: boolean;
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly propertyNames?: { readonly description: string };
  readonly items?: SchemaNode;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

/** The keys that must be written: required in `Config` and without a default. */
export function requiredKeys(schema: SchemaNode): readonly string[] {
  return (schema.required ?? []).filter(key => schema.properties?.[key]?.default === undefined);
}

/** `ConfigSchema` as data: what its types say is of no use to code that walks it. */
export const configSchemaNode = ConfigSchema as unknown as SchemaNode;
