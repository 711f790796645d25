import {
  ANY,
  isWrapper,
  LIST_VALUE,
  NULL_VALUE,
  noWrappers,
  STRUCT,
  VALUE,
  wrappedField,
} from "../codec/well-known.js";
import type { EnumType, Field, MessageType } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { nameOf } from "./member-names.js";
import { messageRules, requiresOne } from "./rules.js";
import { numberExample, textExample } from "./scalar-examples.js";
import { type SharedName, sharedOfType } from "./scalars.js";
import { constraint, type Direction, isAlwaysPrinted, isRequired, type SchemaPolicy } from "./schemas.js";

/** Most optional members of one example, those of its messages included; required ones come beyond that. */
const maxMembers = 20;
/** Levels of messages. */
const maxLevels = 3;

/** Stands for a value that cannot be made up: none is shown rather than one that would be refused. */
export const noExample = Symbol("no example");

const textsOfTypes: Readonly<Partial<Record<SharedName, string>>> = {
  "json-timestamp": "2026-01-31T12:00:00Z",
  "json-duration": "1.5s",
  "json-field-mask": "*",
};

/** An example of a message. @param without fields that come from elsewhere */
export function messageExample(
  type: MessageType,
  direction: Direction,
  policy: SchemaPolicy,
  without: ReadonlySet<Field> = new Set(),
): unknown {
  return new ExampleMaker(direction, policy).message(type, [], without);
}

/** An example of a field: of all its elements or members where it has several. */
export function fieldExample(field: Field, direction: Direction, policy: SchemaPolicy): unknown {
  return new ExampleMaker(direction, policy).field(field, []);
}

/** Makes values by the shapes of messages; the same for the same shape. */
class ExampleMaker {
  readonly #direction: Direction;
  readonly #policy: SchemaPolicy;
  #members = 0;

  constructor(direction: Direction, policy: SchemaPolicy) {
    this.#direction = direction;
    this.#policy = policy;
  }

  /** @param above the messages that this one is in */
  message(type: MessageType, above: readonly MessageType[], without: ReadonlySet<Field>): unknown {
    const shared = sharedOfType(type.fullName);
    if (shared !== undefined) return textsOfTypes[shared] ?? noExample;
    if (isWrapper(type, this.#policy.json.wrappers ?? noWrappers)) {
      const value = wrappedField(type);
      return value === undefined ? noExample : this.#one(value, above, {});
    }
    switch (type.fullName) {
      case STRUCT:
        return { key: "value" };
      case VALUE:
        return "value";
      case LIST_VALUE:
        return ["value"];
      case ANY:
        return noExample;
      default:
        return this.#object(type, above, without);
    }
  }

  field(field: Field, above: readonly MessageType[]): unknown {
    const rules = constraint(field, this.#direction, this.#policy);
    if (rules !== undefined && rules.unexpressed.length > 0) return noExample;
    const { keywords = {}, items = {}, keys = {} } = rules ?? {};
    if (field.map !== undefined) {
      const key = mapKey(field.map.key, keys);
      const value = this.#one(field.map.value, above, items);
      const few = Number(keywords.minProperties ?? 0) <= 1 && Number(keywords.maxProperties ?? 1) >= 1;
      return few && typeof key === "string" && value !== noExample ? { [key]: value } : noExample;
    }
    if (!field.repeated) return this.#one(field, above, keywords);
    const count = Number(keywords.minItems ?? 1) || 1;
    const value = this.#one(field, above, items);
    if (value === noExample || Number(keywords.maxItems ?? count) < count) return noExample;
    if (count > maxMembers || (count > 1 && keywords.uniqueItems === true)) return noExample;
    return Array.from({ length: count }, () => value);
  }

  #object(type: MessageType, above: readonly MessageType[], without: ReadonlySet<Field>): unknown {
    const { validate, json } = this.#policy;
    const reads = this.#direction === "read";
    const depth = Math.min(maxLevels, json.depth - 1);
    if (above.length > depth || above.includes(type)) return noExample;
    if (reads && validate && messageRules(type).length > 0) return noExample;
    const object: Record<string, unknown> = {};
    // A oneof that is set elsewhere has no other member.
    const taken = new Set([...without].map(({ oneof }) => oneof));
    taken.delete(undefined);
    for (const field of type.fields) {
      if (without.has(field) || (field.oneof !== undefined && taken.has(field.oneof))) continue;
      const must = reads ? isRequired(field, this.#policy) : isAlwaysPrinted(field, json);
      const oneOf = reads && validate && field.oneof !== undefined && requiresOne(field.oneof);
      if (!must && !oneOf && (field.deprecated || field.extension || this.#members >= maxMembers)) continue;
      this.#members++;
      let value = this.field(field, [...above, type]);
      if (value === noExample && must && !reads) value = this.#unset(field);
      if (value === noExample && must) return noExample;
      if (value === noExample) continue;
      // A name such as __proto__ is a member like others.
      Object.defineProperty(object, nameOf(field, json), { value, enumerable: true });
      if (field.oneof !== undefined) taken.add(field.oneof);
    }
    const open = type.oneofs.some(oneof => reads && validate && requiresOne(oneof) && !taken.has(oneof));
    return open ? noExample : object;
  }

  /** The printed value of a field that is not set. */
  #unset(field: Field): unknown {
    if (field.map !== undefined) return {};
    return field.repeated ? [] : null;
  }

  /** One value. */
  #one(field: Field, above: readonly MessageType[], keywords: JsonSchema): unknown {
    switch (field.kind) {
      case "message":
        return this.message(field.message as MessageType, above, new Set());
      case "enum":
        return this.#enum(field.enum as EnumType, keywords["x-numbers"]);
      case "bool":
        return keywords.const ?? true;
      case "bytes":
        return "aGVsbG8=";
      case "string":
        return textExample(field.name, keywords) ?? noExample;
      default:
        return this.#number(field, keywords);
    }
  }

  #number(field: Field, keywords: JsonSchema): unknown {
    const isReal = field.kind === "double" || field.kind === "float";
    const number = numberExample(isReal, keywords);
    if (number === undefined) return noExample;
    const is64 = field.kind.endsWith("64");
    return is64 && (this.#direction === "read" || this.#policy.json.int64 === "string")
      ? String(number)
      : number;
  }

  /** The first value that is not the unspecified one. */
  #enum(type: EnumType, numbers: unknown): unknown {
    if (type.fullName === NULL_VALUE) return null;
    const allowed = type.values.filter(({ number }) => !Array.isArray(numbers) || numbers.includes(number));
    const chosen = allowed.find(({ number, deprecated }) => number !== 0 && !deprecated) ?? allowed[0];
    if (chosen === undefined) return noExample;
    return this.#direction === "printed" && this.#policy.json.enums === "number"
      ? chosen.number
      : chosen.name;
  }
}

function mapKey(field: Field, keywords: JsonSchema): unknown {
  if (field.kind === "string") return textExample("key", keywords);
  return field.kind === "bool" ? "true" : numberExample(false, keywords)?.toString();
}
