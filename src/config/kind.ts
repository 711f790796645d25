import Type, { type TObject, type TProperties, type TUnsafe } from "typebox";
import type { FormatName } from "./format.js";

/**
 * The building blocks of the configuration's schema. The static type of each is the *loaded* value, its JSON
 * Schema is the *written* one: a duration is `5s` in YAML and 5000 in `Config`. What `format` names is how the
 * one becomes the other.
 */

/** What every schema node says to a person; `default` is written as in YAML. */
export interface About<Default> {
  readonly description: string;
  readonly default?: Default;
}

/** A string that `format` checks and, where the format says so, rewrites. */
export function text<T extends string | number = string>(
  format: FormatName,
  about: About<string>,
): TUnsafe<T> {
  return Type.Unsafe<T>({ type: "string", format, ...about });
}

/** Milliseconds. Bounds are milliseconds too; setTimeout and people both lose their grip above a day. */
export function duration(about: About<string>, minimum = 1): TUnsafe<number> {
  return Type.Unsafe<number>({ type: "string", format: "duration", minimum, maximum: 86_400_000, ...about });
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
