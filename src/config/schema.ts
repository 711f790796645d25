import type { Static, TObject, TProperties, TSchema, TUnsafe } from "typebox";
import { type FormatName, Formats } from "./format.js";
import { Type } from "./type-builder.js";

/**
 * The building blocks of the configuration's schema. The static type of each is the *loaded* value, its JSON
 * Schema is the *written* one: a duration is `5s` in YAML and 5000 in the loaded configuration. `format` names the
 * conversion.
 */

/** The documentation of every schema node; `default` is written as in YAML. */
export interface About<Default> {
  readonly description: string;
  readonly default?: Default;
}

/** A string that `format` checks and, for some formats, converts. */
export function text<T extends string | number = string>(
  format: FormatName,
  about: About<string>,
): TUnsafe<T> {
  return Type.Unsafe<T>({ type: "string", format, ...about });
}

/** Milliseconds. Bounds are milliseconds too; setTimeout and people both lose their grip above a day. */
export function duration(about: About<string>, minimum = 1, maximum = 86_400_000): TUnsafe<number> {
  return Type.Unsafe<number>({ type: "string", format: "duration", minimum, maximum, ...about });
}

/** Bytes. */
export function size(about: About<string>, minimum: number, maximum: number): TUnsafe<number> {
  return Type.Unsafe<number>({ type: ["string", "integer"], format: "size", minimum, maximum, ...about });
}

/** One of a closed set of words or numbers. */
export function choice<const T extends string | number>(
  values: readonly [T, ...T[]],
  about: About<NoInfer<T>>,
): TUnsafe<T> {
  return Type.Unsafe<T>({ enum: values, ...about });
}

/** A list of formatted strings, or of words of a closed set, without repetition. */
export function listOf<T>(items: TUnsafe<T>, about: About<readonly NoInfer<T>[]>): TUnsafe<T[]> {
  return Type.Unsafe<T[]>({ type: "array", items, uniqueItems: true, ...about });
}

/** One of these, or a list of them. */
export function oneOrMore<T extends string | number>(
  items: TUnsafe<T>,
  about: About<NoInfer<T> | readonly NoInfer<T>[]>,
): TUnsafe<T | T[]> {
  const list = { type: "array", items, minItems: 1, uniqueItems: true, description: about.description };
  return Type.Unsafe<T | T[]>({ anyOf: [items, list], ...about });
}

/** A mapping with exactly these keys; `more` are further keywords of JSON Schema. */
export function mapping<P extends TProperties>(properties: P, description: string, more = {}): TObject<P> {
  return Type.Object(properties, { additionalProperties: false, description, ...more });
}

/** A mapping that may be left out: all of its keys may, and have defaults of their own. */
export function section<P extends TProperties>(properties: P, description: string): TObject<P> {
  return mapping(properties, description, { default: {} });
}

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/**
 * The value of a schema once loaded: names as in YAML, every default filled in, durations in milliseconds, sizes in
 * bytes, paths absolute, header names in lower case. Records have no prototype.
 */
export type Loaded<S extends TSchema> = Immutable<Static<S>>;

/** The result of loading so far: values with problems are undefined, list indexes are kept. */
export type DraftOf<T> = T extends object ? { readonly [K in keyof T]?: DraftOf<T[K]> | undefined } : T;

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

/** The keys that must be written: required in the type and without a default. */
export function requiredKeys(schema: SchemaNode): readonly string[] {
  return (schema.required ?? []).filter(key => schema.properties?.[key]?.default === undefined);
}

/** The schema as data: its static types are of no use to code that walks it. */
export function nodeOf(schema: TSchema): SchemaNode {
  return schema as unknown as SchemaNode;
}

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
