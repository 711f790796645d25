import type { JsonPolicy } from "../codec/codec.js";
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
import type { Steps } from "../net/pace.js";
import { describeComment } from "./comment.js";
import { printedEnum, readEnum, someOfEnum } from "./enums.js";
import { isGiven, nameOf, nullSchema, oneOfFields, otherName } from "./member-names.js";
import { type Constraint, constraintOf, messageRules, requiresOne } from "./rules.js";
import {
  keySchema,
  printedScalar,
  readScalar,
  type SharedName,
  sharedOfType,
  sharedSchemas,
} from "./scalars.js";

/** Which way messages go: read from requests, or printed in responses. */
export type Direction = "read" | "printed";

/** The options of a route on which the schemas of its messages depend. */
export interface SchemaPolicy {
  readonly json: JsonPolicy;
  /** Whether the rules of messages are enforced. */
  readonly validate: boolean;
}

/** Which types a document reads and which it prints. */
export interface TypeUse {
  readonly read: ReadonlySet<MessageType | EnumType>;
  readonly printed: ReadonlySet<MessageType | EnumType>;
}

interface Waiting {
  readonly name: string;
  readonly type: MessageType | EnumType;
  readonly direction: Direction;
  readonly policy: SchemaPolicy;
}

/**
 * The schemas of a document's messages, each once for a direction and the JSON options that matter for it. Schemas of
 * responses are those that the gateway sends; schemas of requests are all that it accepts: both names of a field,
 * numbers as texts, null for unset fields.
 */
export class Schemas {
  /** By name under `components/schemas`, as JSON; complete after `complete`. */
  readonly components = new Map<string, string>();
  readonly #written: (schema: JsonSchema) => string;
  readonly #use: TypeUse;
  readonly #waiting: Waiting[] = [];
  /** The variants of each type, by the options in which they differ. */
  readonly #variants = {
    read: new Map<MessageType | EnumType, Map<string, number>>(),
    printed: new Map<MessageType | EnumType, Map<string, number>>(),
  };
  readonly #names = new Set<string>();

  /** @param written the JSON of a schema */
  constructor(use: TypeUse, written: (schema: JsonSchema) => string) {
    this.#use = use;
    this.#written = written;
  }

  /** A reference to the schema of a message, or the schema itself where the type has a JSON form of its own. */
  message(type: MessageType, direction: Direction, policy: SchemaPolicy): JsonSchema {
    const { json } = policy;
    const shared = sharedOfType(type.fullName);
    if (shared !== undefined) return this.shared(shared);
    if (isWrapper(type, json.wrappers ?? noWrappers)) {
      const value = wrappedField(type);
      return value === undefined ? {} : this.element(value, direction, policy);
    }
    switch (type.fullName) {
      case STRUCT:
        return { type: "object" };
      case VALUE:
        return {};
      case LIST_VALUE:
        return { type: "array", items: {} };
      case ANY:
        return {
          type: "object",
          properties: { "@type": { type: "string", description: "The URL of the message's type." } },
        };
      default:
        return this.#reference(type, direction, policy);
    }
  }

  /** The schema of a field: of all its elements or members where it has several. */
  field(field: Field, direction: Direction, policy: SchemaPolicy): JsonSchema {
    const { keywords, items, keys } = constraint(field, direction, policy) ?? unconstrained;
    if (field.map !== undefined) {
      const { key, value } = field.map;
      const names = { ...keySchema(key.kind), ...keys };
      return {
        type: "object",
        ...(Object.keys(names).length === 0 ? {} : { propertyNames: names }),
        additionalProperties: this.#constrained(value, direction, policy, items),
        ...keywords,
      };
    }
    if (!field.repeated) return this.#constrained(field, direction, policy, keywords);
    return { type: "array", items: this.#constrained(field, direction, policy, items), ...keywords };
  }

  /**
   * The schema of a request message without the fields that come from elsewhere; not a reference where there are any.
   * @param without fields of the message itself
   */
  body(type: MessageType, without: ReadonlySet<Field>, policy: SchemaPolicy): JsonSchema {
    return without.size === 0
      ? this.message(type, "read", policy)
      : this.#object(type, "read", policy, without);
  }

  shared(name: SharedName): JsonSchema {
    if (!this.components.has(name)) this.components.set(name, this.#written(sharedSchemas[name]));
    return { $ref: `#/components/schemas/${name}` };
  }

  /** A component of the document's own; the name has a dash, so that no message has it. */
  own(name: `${string}-${string}`, schema: JsonSchema): JsonSchema {
    if (!this.components.has(name)) this.components.set(name, this.#written(schema));
    return { $ref: `#/components/schemas/${name}` };
  }

  /** Makes the schemas that are referred to, and those that these refer to. */
  *complete(): Steps {
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) {
      const { name, type, direction, policy } = next;
      const schema =
        type.kind === "enum"
          ? (direction === "read" ? readEnum : printedEnum)(type, policy.json)
          : this.#object(type, direction, policy, none);
      this.components.set(name, this.#written(schema));
      yield 20 + (type.kind === "enum" ? 5 * type.values.length : 20 * type.fields.length);
    }
  }

  /** The schema of a field that is neither map nor list, or of one element. */
  element(field: Field, direction: Direction, policy: SchemaPolicy): JsonSchema {
    switch (field.kind) {
      case "message":
        return this.message(field.message as MessageType, direction, policy);
      case "enum":
        return this.#enum(field.enum as EnumType, direction, policy);
      default: {
        if (direction === "printed") return printedScalar(field.kind, policy.json.int64);
        const read = readScalar(field.kind);
        return typeof read === "string" ? this.shared(read) : read;
      }
    }
  }

  /** One value with the constraints of the rules. */
  #constrained(field: Field, direction: Direction, policy: SchemaPolicy, keywords: JsonSchema): JsonSchema {
    const { "x-numbers": numbers, ...others } = keywords;
    if (Array.isArray(numbers) && field.enum !== undefined) return someOfEnum(field.enum, numbers);
    return { ...this.element(field, direction, policy), ...others };
  }

  #enum(type: EnumType, direction: Direction, policy: SchemaPolicy): JsonSchema {
    if (type.fullName !== NULL_VALUE) return this.#reference(type, direction, policy);
    return direction === "read" ? { enum: [null, "NULL_VALUE", 0] } : nullSchema;
  }

  #reference(type: MessageType | EnumType, direction: Direction, policy: SchemaPolicy): JsonSchema {
    const name = this.#nameOf(type, direction, policy);
    if (!this.#names.has(name)) {
      this.#names.add(name);
      this.#waiting.push({ name, type, direction, policy });
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  /** Stable: the same for the same routes in the same order. */
  #nameOf(type: MessageType | EnumType, direction: Direction, policy: SchemaPolicy): string {
    const all = this.#variants[direction];
    const variants = all.get(type) ?? new Map<string, number>();
    all.set(type, variants);
    const key = variantKey(direction, policy);
    const variant = variants.get(key) ?? variants.size + 1;
    variants.set(key, variant);
    const { read, printed } = this.#use;
    const both = direction === "read" && read.has(type) && printed.has(type);
    return `${type.fullName}${both ? "-input" : ""}${variant === 1 ? "" : `-${variant}`}`;
  }

  #object(
    type: MessageType,
    direction: Direction,
    policy: SchemaPolicy,
    without: ReadonlySet<Field>,
  ): JsonSchema {
    const { json } = policy;
    const reads = direction === "read";
    const properties: Record<string, JsonSchema> = Object.create(null);
    const patterns: Record<string, JsonSchema> = Object.create(null);
    const required: string[] = [];
    const doubled: Record<string, JsonSchema> = Object.create(null);
    const conditions: JsonSchema[] = [];
    for (const field of type.fields) {
      if (without.has(field)) continue;
      const name = nameOf(field, json);
      const other = reads ? otherName(field, json) : undefined;
      properties[name] = this.#property(field, direction, policy);
      if (other !== undefined) {
        const { description: _text, deprecated: _old, ...same } = properties[name] as JsonSchema;
        patterns[`^${other.replace(/[^\w]/g, "\\$&")}$`] = same;
        doubled[name] = { properties: { [other]: false } };
      }
      if (!(reads ? isRequired(field, policy) : isAlwaysPrinted(field, json))) continue;
      if (other === undefined) required.push(name);
      else conditions.push(isGiven(field, json));
    }
    if (reads && type.extendable) patterns["^\\["] = {};
    const oneofs = type.oneofs.filter(oneof => oneof.fields.length > 1 || requiresOne(oneof));
    if (reads)
      conditions.push(
        ...oneofs.map(oneof => {
          const own = oneof.fields.filter(field => !without.has(field));
          const must = policy.validate && requiresOne(oneof);
          return oneOfFields(own, json, must, own.length < oneof.fields.length);
        }),
      );
    const description = describeMessage(type, oneofs, json, reads && policy.validate);
    return {
      type: "object",
      ...(description === "" ? {} : { description }),
      ...(type.deprecated ? { deprecated: true } : {}),
      properties,
      ...(Object.keys(patterns).length === 0 ? {} : { patternProperties: patterns }),
      ...(reads && json.unknownFields === "reject" ? { additionalProperties: false } : {}),
      ...(required.length === 0 ? {} : { required }),
      ...(Object.keys(doubled).length === 0 ? {} : { dependentSchemas: doubled }),
      ...(conditions.length === 0 ? {} : { allOf: conditions }),
    };
  }

  #property(field: Field, direction: Direction, policy: SchemaPolicy): JsonSchema {
    const schema = this.field(field, direction, policy);
    const { unexpressed } = constraint(field, direction, policy) ?? unconstrained;
    const rules = unexpressed.map(rule => `\`${rule}\``).join(", ");
    const description = [describeComment(field.comment), rules === "" ? "" : `Rules: ${rules}.`]
      .filter(text => text !== "")
      .join("\n\n");
    return {
      ...(isNullable(field, direction, policy) ? nullable(schema) : schema),
      ...(description === "" ? {} : { description }),
      ...(field.deprecated ? { deprecated: true } : {}),
    };
  }
}

const none: ReadonlySet<Field> = new Set();

/** The options in which schemas differ. */
function variantKey(direction: Direction, { json, validate }: SchemaPolicy): string {
  const { names, unknownFields, enums, int64, emitDefaults } = json;
  const wrappers = [...(json.wrappers ?? [])].join();
  return direction === "read"
    ? `${names} ${unknownFields} ${validate} ${wrappers}`
    : `${names} ${enums} ${int64} ${emitDefaults} ${wrappers}`;
}

function nullable(schema: JsonSchema): JsonSchema {
  const { type, enum: only, $ref, anyOf } = schema;
  const simple = typeof type === "string" && only === undefined && $ref === undefined && anyOf === undefined;
  return simple ? { ...schema, type: [type, "null"] } : { anyOf: [schema, nullSchema] };
}

const unconstrained: Constraint = { keywords: {}, items: {}, keys: {}, required: false, unexpressed: [] };

/** The constraints of the rules on a field of a request. */
export function constraint(
  field: Field,
  direction: Direction,
  { validate }: SchemaPolicy,
): Constraint | undefined {
  return validate && direction === "read" ? constraintOf(field) : undefined;
}

/** Whether requests are refused without the field. */
export function isRequired(field: Field, policy: SchemaPolicy): boolean {
  const declared = field.presence === "required" && !field.repeated;
  return declared || (policy.validate && constraintOf(field)?.required === true);
}

function describeMessage(
  type: MessageType,
  oneofs: MessageType["oneofs"],
  json: JsonPolicy,
  validated: boolean,
): string {
  const members = oneofs.map(oneof => {
    const names = oneof.fields.map(field => `\`${nameOf(field, json)}\``).join(", ");
    return `${validated && requiresOne(oneof) ? "Exactly" : "At most"} one of ${names}.`;
  });
  const rules = validated ? messageRules(type).map(rule => `Rule: ${rule}`) : [];
  return [describeComment(type.comment), ...members, ...rules].filter(text => text !== "").join("\n\n");
}

/** Whether null may stand for a field that is not set. */
function isNullable(field: Field, direction: Direction, policy: SchemaPolicy): boolean {
  const { emitDefaults } = policy.json;
  if (direction === "read" && isRequired(field, policy)) return false;
  if (field.message?.fullName === VALUE && !field.repeated) return false;
  if (field.enum?.fullName === NULL_VALUE && !field.repeated) return false;
  if (direction === "read") return true;
  if (emitDefaults !== "with_null" || field.repeated || field.oneof !== undefined) return false;
  return field.message !== undefined || (field.presence !== "implicit" && !field.proto3Optional);
}

/** Whether every response has the field. */
export function isAlwaysPrinted(field: Field, { emitDefaults }: JsonPolicy): boolean {
  if (emitDefaults === false || field.oneof !== undefined) return false;
  if (field.repeated || (field.presence === "implicit" && field.message === undefined)) return true;
  return emitDefaults === "with_null" && !field.proto3Optional;
}
