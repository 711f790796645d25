import type { JsonSchema } from "../dialects/dialect.js";

const ofFormats: Readonly<Record<string, string>> = {
  email: "ann@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  "uri-reference": "/a",
  uuid: "123e4567-e89b-42d3-a456-426614174000",
};

/** By the last word of a name. */
const ofNames: readonly (readonly [name: RegExp, text: string])[] = [
  [/(^|_)email$/, "ann@example.com"],
  [/(^|_)(url|uri|link)$/, "https://example.com/"],
  [/(^|_)(id|uid|key)$/, "42"],
];

/** Texts that fit usual patterns. */
const tries = [
  "text",
  "abc",
  "ABC",
  "42",
  "a",
  "A",
  "1",
  "abc123",
  "2026-01-31",
  "12:00",
  "en-US",
  "a/b",
  "v1",
];

/** A text that satisfies the keywords of a rule; undefined where none was found. */
export function textExample(name: string, keywords: JsonSchema): string | undefined {
  const rules = narrowed(keywords);
  if (Array.isArray(rules.enum)) return rules.enum.map(String).find(text => takes(text, rules));
  const format = ofFormats[String(rules.format)];
  if (rules.format !== undefined) return format !== undefined && takes(format, rules) ? format : undefined;
  const named = ofNames.find(([pattern]) => pattern.test(name))?.[1] ?? "text";
  const literals = patternsOf(rules).map(pattern => pattern.replace(/^\^|\$$/g, "").replace(/\\(.)/g, "$1"));
  const candidates = [named, ...literals, ...tries].map(text => fitted(text, rules));
  return candidates.find(text => takes(text, rules));
}

/** A number that satisfies the keywords of a rule; undefined where none was found. */
export function numberExample(isReal: boolean, keywords: JsonSchema): number | undefined {
  const rules = narrowed(keywords);
  const only = Array.isArray(rules.enum) ? rules.enum.map(Number) : undefined;
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = rules as Record<string, number>;
  const least = Number(minimum ?? exclusiveMinimum ?? Number.NEGATIVE_INFINITY);
  const most = Number(maximum ?? exclusiveMaximum ?? Number.POSITIVE_INFINITY);
  const middle = (least + most) / 2;
  const made = [
    isReal ? 1.5 : 1,
    2,
    least,
    least + 1,
    isReal ? middle : Math.floor(middle),
    most,
    most - 1,
    0,
  ];
  return (only ?? made).find(
    number =>
      (isReal ? Number.isFinite(number) : Number.isSafeInteger(number)) &&
      number >= least &&
      number <= most &&
      number !== exclusiveMinimum &&
      number !== exclusiveMaximum &&
      !excluded(number, rules),
  );
}

/** Rules that exempt a zero are in the first of two branches. */
function narrowed(keywords: JsonSchema): JsonSchema {
  return Array.isArray(keywords.anyOf) ? (keywords.anyOf[0] as JsonSchema) : keywords;
}

function excluded(value: unknown, { not }: JsonSchema): boolean {
  const values = (not as JsonSchema | undefined)?.enum;
  return Array.isArray(values) && values.includes(value);
}

/** The text with as many characters as it must have, and no more than it may. */
function fitted(text: string, { minLength, maxLength }: JsonSchema): string {
  const least = Math.min(Number(minLength ?? 0), 1000);
  return text.padEnd(least, text).slice(0, Number(maxLength ?? text.length + least));
}

function takes(text: string, rules: JsonSchema): boolean {
  if (text.length < Number(rules.minLength ?? 0)) return false;
  if (text.length > Number(rules.maxLength ?? text.length) || excluded(text, rules)) return false;
  return patternsOf(rules).every(pattern => new RegExp(pattern, "u").test(text));
}

function patternsOf({ pattern, allOf }: JsonSchema): string[] {
  const all = [pattern, ...((allOf as JsonSchema[] | undefined) ?? []).map(each => each.pattern)];
  return all.filter(each => typeof each === "string");
}
