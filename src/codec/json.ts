import { excerpt } from "./error.js";

/** A JSON number that a double would print as another text (`9007199254740993`, `1e400`, `1.0`), kept as its source. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

export interface JsonObject {
  [name: string]: JsonValue;
}

/** Parsed JSON. Objects inherit nothing, so that any name, `__proto__` too, is an ordinary key. */
export type JsonValue = null | boolean | number | string | JsonNumber | JsonValue[] | JsonObject;

// An empty prototype instead of none: V8 keeps objects without a prototype in slow dictionary mode.
const Bare = function Bare() {} as unknown as new () => JsonObject;
Bare.prototype = Object.create(null);

/** A new object that inherits nothing. */
export function createObject(): JsonObject {
  return new Bare();
}

export function isJsonObject(value: JsonValue): value is JsonObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}

/** Describes a value for messages to people: `a list`, `the string "abc"`, `the number 1.5`. */
export function describeJson(value: JsonValue): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof JsonNumber) return `the number ${excerpt(value.text)}`;
  switch (typeof value) {
    case "string":
      return value === "" ? "an empty string" : `the string ${JSON.stringify(excerpt(value))}`;
    case "object":
      return "an object";
    case "number":
      return `the number ${Object.is(value, -0) ? "-0" : value}`;
    default:
      return String(value);
  }
}

/** The tree's value of a JSON number: a double only where it prints as the text that was read. */
export function numberValue(source: string): number | JsonNumber {
  const number = Number(source);
  const isSame = String(number) === source && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return isSame ? number : new JsonNumber(source);
}
