import type Typebox from "typebox";
import type { TSchema } from "typebox";

type Keywords = Readonly<Record<string, unknown>>;

/** Schemas of properties that may be left out. */
const optional = new WeakSet<object>();

const typed =
  (type: string) =>
  (keywords: Keywords = {}): Keywords => ({ type, ...keywords });

function mapping(properties: Readonly<Record<string, Keywords>>, keywords: Keywords = {}): Keywords {
  const required = Object.keys(properties).filter(key => !optional.has(properties[key] as object));
  return { type: "object", ...(required.length > 0 && { required }), properties, ...keywords };
}

/** @param key its `pattern` is the one of the keys */
function record(key: { readonly pattern?: string }, value: Keywords, keywords: Keywords = {}): Keywords {
  return { type: "object", patternProperties: { [key.pattern ?? "^.*$"]: value }, ...keywords };
}

/**
 * Makes the same schemas as `typebox` for the calls that the sections of the configuration use, with its types. The
 * library itself would be the largest part of the code that a gateway loads: it is 370 modules.
 */
const builder = {
  Object: mapping,
  Record: record,
  Optional: (schema: Keywords) => {
    const copy = { ...schema };
    optional.add(copy);
    return copy;
  },
  Array: (items: Keywords, keywords: Keywords = {}) => ({ type: "array", items, ...keywords }),
  Union: (anyOf: readonly TSchema[], keywords: Keywords = {}) => ({ anyOf, ...keywords }),
  Literal: (value: unknown, keywords: Keywords = {}) => ({ type: typeof value, const: value, ...keywords }),
  Unsafe: (schema: Keywords) => ({ ...schema }),
  Boolean: typed("boolean"),
  Integer: typed("integer"),
  Number: typed("number"),
  String: typed("string"),
};

export const Type = builder as unknown as Pick<typeof Typebox, keyof typeof builder>;
