import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import fc from "fast-check";

export type Schema = { readonly [keyword: string]: unknown };

/** Levels down to which values are made. */
const maxDepth = 2;

/** Makes and checks values of the schemas of one document. */
export class SchemaValues {
  readonly #document: Schema;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Schema) {
    this.#document = document;
    // Compiled once, however many schemas refer to it.
    this.#ajv.addSchema({ components: document.components }, "document");
  }

  allows(schema: Schema, value: unknown): boolean {
    const text = JSON.stringify(schema);
    let validate = this.#validators.get(text);
    if (validate === undefined) {
      validate = this.#ajv.compile(JSON.parse(text.replaceAll('"#/components', '"document#/components')));
      this.#validators.set(text, validate);
    }
    return validate(value);
  }

  /** Values that the schema allows. */
  valid(schema: Schema): fc.Arbitrary<unknown> {
    return this.#valid(schema, 0).filter(value => this.allows(schema, value));
  }

  /** Values that it forbids, each made from one that it allows by one change. */
  invalid(schema: Schema): fc.Arbitrary<unknown> {
    return fc
      .tuple(this.valid(schema), fc.nat(), fc.constantFrom(...wrongValues))
      .map(([value, place, wrong]) => changed(value, place, wrong))
      .filter(value => !this.allows(schema, value));
  }

  resolved(schema: Schema): Schema {
    const { $ref, ...beside } = schema;
    if (typeof $ref !== "string") return schema;
    const found = $ref
      .slice(2)
      .split("/")
      .reduce((at: unknown, name) => (at as Record<string, unknown>)[name], this.#document) as Schema;
    return { ...this.resolved(found), ...beside };
  }

  #valid(given: Schema, depth: number): fc.Arbitrary<unknown> {
    const schema = this.resolved(given);
    const { anyOf, type } = schema;
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
    if (Array.isArray(anyOf)) return fc.oneof(...anyOf.map(each => this.#valid({ ...each }, depth)));
    const types = Array.isArray(type) ? type : [type];
    return fc.oneof(...types.map(each => this.#ofType(schema, each, depth)));
  }

  #ofType(schema: Schema, type: unknown, depth: number): fc.Arbitrary<unknown> {
    switch (type) {
      case "null":
        return fc.constant(null);
      case "boolean":
        return fc.boolean();
      case "integer":
        return integers(schema);
      case "number":
        return fc.double({ min: -1e9, max: 1e9, noNaN: true }).map(value => value + 0);
      case "string":
        return strings(schema);
      case "array": {
        const { minItems = 0, items = {} } = schema as { minItems?: number; items?: Schema };
        const maxLength = depth >= maxDepth ? minItems : minItems + 2;
        return fc.array(this.#valid(items, depth + 1), { minLength: minItems, maxLength });
      }
      case "object":
        return this.#object(schema, depth);
      default:
        return fc.jsonValue({ maxDepth: 1 });
    }
  }

  #object(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    const {
      properties = {},
      required = [],
      additionalProperties,
      propertyNames,
    } = schema as {
      properties?: Record<string, Schema>;
      required?: readonly string[];
      additionalProperties?: Schema | boolean;
      propertyNames?: Schema;
    };
    if (typeof additionalProperties === "object")
      return fc.dictionary(
        strings({ pattern: "^[a-z]{1,4}$", ...propertyNames }).map(String),
        this.#valid(additionalProperties, depth + 1),
        { maxKeys: 2, noNullPrototype: true },
      );
    const members = Object.entries(properties).filter(
      ([name]) => depth < maxDepth || required.includes(name),
    );
    const record = Object.fromEntries(members.map(([name, each]) => [name, this.#valid(each, depth + 1)]));
    const given = Object.fromEntries(
      members.map(([name]) => [name, required.includes(name) ? fc.constant(true) : fc.boolean()]),
    );
    return fc
      .tuple(fc.record(record), fc.record(given))
      .map(([values, kept]) =>
        Object.fromEntries(
          Object.entries(values).filter(([name]) => (kept as Record<string, boolean>)[name]),
        ),
      );
  }
}

function integers({ minimum = -(2 ** 31), maximum = 2 ** 31 - 1 }: { minimum?: unknown; maximum?: unknown }) {
  const safe = (bound: unknown): number =>
    Math.min(Math.max(Number(bound), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  return fc.integer({ min: safe(minimum), max: safe(maximum) });
}

function strings(schema: Schema): fc.Arbitrary<string> {
  const {
    pattern,
    format,
    minLength = 0,
    maxLength,
  } = schema as {
    pattern?: string;
    format?: string;
    minLength?: number;
    maxLength?: number;
  };
  if (format === "date-time")
    return fc
      .date({
        min: new Date("0001-01-02T00:00:00Z"),
        max: new Date("9999-12-30T00:00:00Z"),
        noInvalidDate: true,
      })
      .map(date => date.toISOString());
  if (typeof pattern === "string") return fc.stringMatching(new RegExp(pattern, "u"));
  return fc.string({
    unit: "grapheme",
    minLength,
    maxLength: Math.min(maxLength ?? minLength + 12, minLength + 12),
  });
}

const wrongValues: readonly unknown[] = [
  "x y",
  "",
  true,
  1.5,
  -1,
  1e30,
  null,
  {},
  { zz: 1 },
  [],
  [[]],
  [null],
  "99999999999999999999999",
];

/** The value with one place in it replaced, or with an unknown member in one of its objects. */
function changed(value: unknown, place: number, wrong: unknown): unknown {
  const paths = placesOf(value);
  const path = paths[place % paths.length] as readonly (string | number)[];
  const copy = structuredClone({ root: value }) as Record<string | number, unknown>;
  let at: Record<string | number, unknown> = copy;
  const whole = ["root", ...path];
  for (const name of whole.slice(0, -1)) at = at[name] as Record<string | number, unknown>;
  const last = whole.at(-1) as string | number;
  const target = at[last];
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  if (isObject && place % 3 === 0) at[last] = { ...target, no_such_field: wrong };
  else at[last] = wrong;
  return copy.root;
}

function placesOf(value: unknown, above: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [[...above]];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [[...above], ...entries.flatMap(([key, each]) => placesOf(each, [...above, key]))];
}
