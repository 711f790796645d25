import type { Field, MessageType, Oneof, OptionValue } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { integersBetween } from "./integer-pattern.js";

/** The `buf.validate` rules of a field in JSON Schema. */
export interface Constraint {
  /** Keywords beside those of the field's type. */
  readonly keywords: JsonSchema;
  /** Beside those of the type of an element, or of a map's value. */
  readonly items: JsonSchema;
  readonly keys: JsonSchema;
  /** Whether the field must be given: it is required, or its default breaks a rule. */
  readonly required: boolean;
  /** Rules that JSON Schema cannot express, for people. */
  readonly unexpressed: readonly string[];
}

type Rules = { readonly [name: string]: OptionValue };

interface Found {
  keywords: Record<string, unknown>;
  readonly unexpressed: string[];
}

/** Undefined where a field has no rules. */
export function constraintOf(field: Field): Constraint | undefined {
  const rules = asRules(field.options.get("buf.validate.field"));
  if (rules === undefined || rules.ignore === "IGNORE_ALWAYS") return undefined;
  const found: Found = { keywords: {}, unexpressed: [] };
  const [items, keys]: [Found, Found] = [
    { keywords: {}, unexpressed: found.unexpressed },
    { keywords: {}, unexpressed: found.unexpressed },
  ];
  const list = asRules(rules.repeated);
  const map = asRules(rules.map);
  if (list !== undefined) {
    bounds(list, "min_items", "max_items", ["minItems", "maxItems"], found);
    if (list.unique === true) found.keywords.uniqueItems = true;
    elementRules(field, asRules(list.items), items);
    unexpressedCel(asRules(list.items) ?? {}, items);
  } else if (map !== undefined) {
    bounds(map, "min_pairs", "max_pairs", ["minProperties", "maxProperties"], found);
    if (field.map !== undefined) {
      elementRules(field.map.key, asRules(map.keys), keys);
      elementRules(field.map.value, asRules(map.values), items);
    }
  } else elementRules(field, rules, found);
  unexpressedCel(rules, found);
  return withPresence(field, rules, found, items.keywords, keys.keywords);
}

function withPresence(
  field: Field,
  rules: Rules,
  found: Found,
  items: JsonSchema,
  keys: JsonSchema,
): Constraint {
  const { unexpressed } = found;
  const plain = field.presence === "implicit" || field.repeated;
  const required = rules.required === true;
  let keywords: JsonSchema = found.keywords;
  if (!plain) return { keywords, items, keys, required, unexpressed };
  if (required) keywords = { ...keywords, ...notZero(field) };
  const zero = zeroOf(field);
  const takesZero = zero === undefined || fits(zero, keywords);
  if (takesZero) return { keywords, items, keys, required, unexpressed };
  if (required || rules.ignore !== "IGNORE_IF_ZERO_VALUE")
    return { keywords, items, keys, required: true, unexpressed };
  return { keywords: { anyOf: [keywords, { const: zero }] }, items, keys, required: false, unexpressed };
}

/** Whether one of a oneof's fields must be set. */
export function requiresOne(oneof: Oneof): boolean {
  return asRules(oneof.options.get("buf.validate.oneof"))?.required === true;
}

/** The rules of a whole message, for people. */
export function messageRules(type: MessageType): readonly string[] {
  const rules = asRules(type.options.get("buf.validate.message"));
  if (rules === undefined) return [];
  const found: Found = { keywords: {}, unexpressed: [] };
  unexpressedCel(rules, found);
  for (const each of Array.isArray(rules.oneof) ? rules.oneof : []) {
    const { fields, required } = asRules(each) ?? {};
    if (Array.isArray(fields))
      found.unexpressed.push(`${required === true ? "exactly" : "at most"} one of ${fields.join(", ")}`);
  }
  return found.unexpressed;
}

function elementRules(field: Field, rules: Rules | undefined, found: Found): void {
  if (rules === undefined) return;
  for (const [kind, value] of Object.entries(rules)) {
    const own = asRules(value);
    if (own === undefined) continue;
    if (kind === "string") stringRules(own, found);
    else if (kind === "enum") enumRules(field, own, found);
    else if (kind === "bool") {
      if (typeof own.const === "boolean") found.keywords.const = own.const;
    } else if (/^([su]?int|s?fixed)(32|64)$/.test(kind)) integerRules(own, kind, found);
    else if (kind === "float" || kind === "double") numberRules(own, found);
    else if (["bytes", "any", "duration", "timestamp", "field_mask"].includes(kind)) {
      for (const [name, bound] of Object.entries(own)) unexpressed(`${kind}.${name}`, bound, found);
    }
  }
}

const lengths = ["minLength", "maxLength"] as const;

function stringRules(rules: Rules, found: Found): void {
  const { keywords } = found;
  const patterns: string[] = [];
  bounds(rules, "min_len", "max_len", lengths, found);
  for (const [name, value] of Object.entries(rules)) {
    const text = typeof value === "string" ? value : "";
    switch (name) {
      case "min_len":
      case "max_len":
      case "example":
      case "strict":
        break;
      case "len":
        bounds({ min_len: value, max_len: value }, "min_len", "max_len", lengths, found);
        break;
      case "const":
      case "in":
        keywords.enum = name === "in" && Array.isArray(value) ? value : [value];
        break;
      case "not_in":
        keywords.not = { enum: value };
        break;
      case "pattern":
        if (isPattern(text)) patterns.push(text);
        else unexpressed("string.pattern", value, found);
        break;
      case "prefix":
        patterns.push(`^${escaped(text)}`);
        break;
      case "suffix":
        patterns.push(`${escaped(text)}$`);
        break;
      case "contains":
        patterns.push(escaped(text));
        break;
      case "email":
      case "hostname":
      case "ipv4":
      case "ipv6":
      case "uri":
      case "uuid":
        if (value === true) keywords.format = name;
        break;
      case "uri_ref":
        if (value === true) keywords.format = "uri-reference";
        break;
      default:
        if (value !== false) unexpressed(`string.${name}`, value, found);
    }
  }
  const [pattern, ...more] = patterns;
  if (pattern !== undefined) keywords.pattern = pattern;
  if (more.length > 0) keywords.allOf = more.map(each => ({ pattern: each }));
}

function integerRules(rules: Rules, kind: string, found: Found): void {
  const { keywords } = found;
  const bits = kind.endsWith("64") ? 64n : 32n;
  const unsigned = kind.startsWith("u") || kind.startsWith("fixed");
  let least = unsigned ? 0n : -(2n ** (bits - 1n));
  let most = unsigned ? 2n ** bits - 1n : 2n ** (bits - 1n) - 1n;
  const above = integer(rules.gte) ?? plus(integer(rules.gt), 1n);
  const below = integer(rules.lte) ?? plus(integer(rules.lt), -1n);
  if (above !== undefined && below !== undefined && below < above) {
    // Outside of a range, not inside.
    unexpressed(`${kind}`, `at least ${above} or at most ${below}`, found);
  } else if (above !== undefined || below !== undefined) {
    least = above ?? least;
    most = below ?? most;
    keywords.minimum = Number(least);
    keywords.maximum = Number(most);
    keywords.pattern = `^(${integersBetween(least, most)})$`;
  }
  const only = rules.const === undefined ? rules.in : [rules.const];
  if (Array.isArray(only)) keywords.enum = bothForms(only);
  if (Array.isArray(rules.not_in)) keywords.not = { enum: bothForms(rules.not_in) };
}

function numberRules(rules: Rules, found: Found): void {
  const { keywords } = found;
  const names = { gt: "exclusiveMinimum", gte: "minimum", lt: "exclusiveMaximum", lte: "maximum" } as const;
  const low = rules.gt ?? rules.gte;
  const high = rules.lt ?? rules.lte;
  if (low !== undefined && high !== undefined && Number(high) < Number(low)) {
    unexpressed("number", `at least ${low} or at most ${high}`, found);
    return;
  }
  for (const [rule, keyword] of Object.entries(names)) {
    const bound = rules[rule];
    if (bound !== undefined) keywords[keyword] = Number(bound);
  }
  if (rules.const !== undefined) keywords.enum = [rules.const];
  if (Array.isArray(rules.in)) keywords.enum = rules.in;
  if (Array.isArray(rules.not_in)) keywords.not = { enum: rules.not_in };
  // Texts have no bounds.
  if (Object.keys(keywords).length > 0 || rules.finite === true) keywords.type = "number";
}

/** Enums are read by name and number: these are the numbers, for the schema. */
function enumRules(field: Field, rules: Rules, found: Found): void {
  const type = field.enum;
  if (type === undefined) return;
  const all = [...type.valuesByNumber.keys()];
  const listed = (value: OptionValue | undefined): number[] | undefined =>
    value === undefined ? undefined : (Array.isArray(value) ? value : [value]).map(Number);
  const only = listed(rules.const) ?? listed(rules.in) ?? (rules.defined_only === true ? all : undefined);
  const not = listed(rules.not_in);
  if (only !== undefined) found.keywords["x-numbers"] = only.filter(each => not?.includes(each) !== true);
  else if (not !== undefined) found.keywords["x-numbers"] = all.filter(each => !not.includes(each));
}

function bounds(
  rules: Rules,
  least: string,
  most: string,
  [minimum, maximum]: readonly [string, string],
  { keywords }: Found,
): void {
  if (rules[least] !== undefined) keywords[minimum] = Number(rules[least]);
  if (rules[most] !== undefined) keywords[maximum] = Number(rules[most]);
}

/** Values of 64 bits that no number holds exactly are listed as texts alone. */
function bothForms(values: readonly OptionValue[]): (string | number)[] {
  return values.flatMap(value => {
    const number = Number(value);
    return Number.isSafeInteger(number) ? [number, String(value)] : [String(value)];
  });
}

function integer(value: OptionValue | undefined): bigint | undefined {
  return typeof value === "bigint" || typeof value === "number" ? BigInt(value) : undefined;
}

function plus(value: bigint | undefined, more: bigint): bigint | undefined {
  return value === undefined ? undefined : value + more;
}

/** RE2 and ECMAScript agree on patterns that both can read, except a few classes. */
function isPattern(text: string): boolean {
  if (/\(\?[a-zA-Z]|\\[AzQEpPC]|\[\[:|\(\?P</.test(text)) return false;
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function unexpressedCel(rules: Rules, found: Found): void {
  for (const name of ["cel", "cel_expression"]) {
    const list = rules[name];
    for (const each of Array.isArray(list) ? list : []) {
      const rule = asRules(each);
      const message = rule?.message ?? rule?.expression ?? each;
      if (typeof message === "string" && message !== "") found.unexpressed.push(message);
    }
  }
}

function unexpressed(name: string, value: OptionValue, { unexpressed: list }: Found): void {
  const text = JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? String(each) : each));
  list.push(value === true ? name : `${name}: ${text.slice(0, 256)}`);
}

function asRules(value: OptionValue | undefined): Rules | undefined {
  return typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array)
    ? (value as Rules)
    : undefined;
}

/** The value of a field without presence that is left out; undefined where its rules are not checked here. */
function zeroOf(field: Field): unknown {
  if (field.map !== undefined) return {};
  if (field.repeated) return [];
  switch (field.kind) {
    case "string":
      return "";
    case "bool":
      return false;
    case "enum":
    case "double":
    case "float":
      return 0;
    case "bytes":
    case "message":
      return undefined;
    default:
      return 0;
  }
}

function notZero(field: Field): JsonSchema {
  if (field.map !== undefined) return { minProperties: 1 };
  if (field.repeated) return { minItems: 1 };
  switch (field.kind) {
    case "string":
    case "bytes":
      return { minLength: 1 };
    case "bool":
      return { const: true };
    case "enum":
      return { "x-numbers": [...(field.enum?.valuesByNumber.keys() ?? [])].filter(each => each !== 0) };
    default:
      return { not: { enum: [0, "0"] } };
  }
}

/** Whether a zero value satisfies keywords of this file. */
function fits(zero: unknown, schema: JsonSchema): boolean {
  const { minLength, minItems, minProperties, minimum, exclusiveMinimum, maximum, exclusiveMaximum } = schema;
  if (Number(minLength ?? 0) > 0 || Number(minItems ?? 0) > 0 || Number(minProperties ?? 0) > 0) return false;
  if (Array.isArray(schema.enum) && !schema.enum.includes(zero)) return false;
  if (schema.const !== undefined && schema.const !== zero) return false;
  const numbers = schema["x-numbers"];
  if (Array.isArray(numbers) && !numbers.includes(0)) return false;
  const not = (schema.not as JsonSchema | undefined)?.enum;
  if (Array.isArray(not) && not.includes(zero)) return false;
  if (zero === "") {
    const patterns = [schema, ...((schema.allOf as JsonSchema[] | undefined) ?? [])].map(
      each => each.pattern,
    );
    if (patterns.some(each => typeof each === "string" && !new RegExp(each, "u").test(""))) return false;
    return schema.format === undefined || schema.format === "uri-reference";
  }
  if (zero !== 0) return true;
  const low = Math.max(Number(minimum ?? Number.NEGATIVE_INFINITY));
  return (
    low <= 0 &&
    Number(maximum ?? 0) >= 0 &&
    (exclusiveMinimum === undefined || Number(exclusiveMinimum) < 0) &&
    (exclusiveMaximum === undefined || Number(exclusiveMaximum) > 0)
  );
}
