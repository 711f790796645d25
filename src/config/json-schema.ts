import type { FormatName } from "./format.js";
import { ConfigSchema } from "./schema.js";

/** The keywords of JSON Schema that the configuration's schema uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  /** As written in YAML; `{}` for a section whose keys have defaults. */
  readonly default?: unknown;
  readonly format?: FormatName;
  readonly enum?: readonly (string | number)[];
  readonly const?: boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly propertyNames?: { readonly description: string };
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

/** The keys that must be written: required in `Config` and without a default. */
export function requiredKeys(schema: JsonSchema): readonly string[] {
  return (schema.required ?? []).filter(key => schema.properties?.[key]?.default === undefined);
}

/** `ConfigSchema` as data: what its types say is of no use to code that walks it. */
export const configJsonSchema = ConfigSchema as unknown as JsonSchema;
