import { Formats } from "./format.js";
import type { SchemaNode } from "./schema.js";

/** The expected value, to follow "expected": `a whole number from 1 to 10`. */
export function expectation(schema: SchemaNode): string {
  if (schema.anyOf !== undefined) return oneOf([...new Set(schema.anyOf.map(expectation))]);
  if (schema.enum !== undefined) return oneOf(schema.enum.map(String));
  if (schema.const !== undefined) return String(schema.const);
  if (schema.format !== undefined) return Formats[schema.format].expected;
  switch (schema.type) {
    case "object":
      return "a mapping";
    case "array":
      return "a list";
    case "boolean":
      return "true or false";
    case "integer":
      return `a whole number${range(schema, String)}`;
    default:
      return `a number${range(schema, String)}`;
  }
}

/** The bounds of a duration or a size in its own units: `a duration from 1ms to 24h`. */
export function boundsExpectation(schema: SchemaNode): string {
  return schema.format === "size"
    ? `a size${range(schema, sizeText)}`
    : `a duration${range(schema, durationText)}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function range({ minimum, maximum }: SchemaNode, unit: (bound: number) => string): string {
  if (minimum === undefined) return maximum === undefined ? "" : ` up to ${unit(maximum)}`;
  return maximum === undefined
    ? ` of at least ${unit(minimum)}`
    : ` from ${unit(minimum)} to ${unit(maximum)}`;
}

const durationUnits = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;
const sizeUnits = [
  ["GiB", 1024 ** 3],
  ["MiB", 1024 ** 2],
  ["KiB", 1024],
  ["", 1],
] as const;

/** Milliseconds in the largest unit that divides them: `90s`. */
export function durationText(milliseconds: number): string {
  return inUnits(milliseconds, durationUnits, "0s");
}

/** Bytes in the largest unit that divides them: `64KiB`. */
export function sizeText(bytes: number): string {
  return inUnits(bytes, sizeUnits, "0");
}

function inUnits(value: number, units: readonly (readonly [string, number])[], zero: string): string {
  const [unit, factor] = units.find(([, size]) => value % size === 0) ?? ["", 1];
  return value === 0 ? zero : `${value / factor}${unit}`;
}
