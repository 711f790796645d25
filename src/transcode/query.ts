import { nearest } from "../config/nearest.js";
import type { Field, MessageType } from "../descriptors/model.js";
import { excerpt, TranscodeError } from "./error.js";
import { isTextBindable } from "./text-value.js";
import { isWellKnown } from "./well-known.js";

/** Where a query parameter goes: the fields from the request message down to the leaf, and a key where that is a map. */
export interface QueryTarget {
  readonly path: readonly Field[];
  readonly key: string | undefined;
}

/** `unknown` carries the nearest valid name; `unbindable` says why a known field cannot come from a query. */
export type Resolution =
  | { readonly kind: "target"; readonly target: QueryTarget }
  | { readonly kind: "unknown"; readonly suggestion: string | undefined }
  | { readonly kind: "unbindable"; readonly why: string };

/** Most parameters that one request may carry. */
const maxParameters = 1000;

/**
 * Splits a raw query into decoded names and values, calling `each` in order. `+` is a space; a parameter
 * without `=` has an empty value; empty parameters (`a=1&&b=2`) are passed over.
 * @throws TranscodeError MALFORMED_QUERY for invalid percent-encoding or too many parameters
 */
export function eachParameter(raw: string, each: (name: string, value: string) => void): void {
  let count = 0;
  for (let start = 0; start < raw.length; ) {
    let end = raw.indexOf("&", start);
    if (end < 0) end = raw.length;
    if (end > start) {
      count += 1;
      if (count > maxParameters) {
        throw new TranscodeError(
          "MALFORMED_QUERY",
          "",
          `the query has more than ${maxParameters} parameters`,
        );
      }
      let equals = raw.indexOf("=", start);
      if (equals < 0 || equals > end) equals = end;
      const name = decode(raw, start, equals);
      each(name, equals < end ? decode(raw, equals + 1, end) : "");
    }
    start = end + 1;
  }
}

function decode(raw: string, start: number, end: number): string {
  const text = raw.slice(start, end);
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new TranscodeError("MALFORMED_QUERY", "", `"${excerpt(text)}" is not valid percent-encoded UTF-8`);
  }
}

/**
 * Finds the field that a parameter name means: dotted nested fields, proto and JSON names both, `m[key]` for maps.
 * Repeated scalars are fine; a repeated message cannot come from the query (`google/api/http.proto`).
 */
export function resolveParameter(type: MessageType, name: string): Resolution {
  const bracket = name.indexOf("[");
  const dotted = bracket < 0 ? name : name.slice(0, bracket);
  const names = dotted.split(".");
  const path: Field[] = [];
  let message: MessageType = type;
  for (const [index, part] of names.entries()) {
    const field = message.fieldsByName.get(part);
    if (field === undefined) return unknown(message, names, index);
    path.push(field);
    if (index === names.length - 1) break;
    const inner = nested(field);
    if (typeof inner === "string") return { kind: "unbindable", why: inner };
    message = inner;
  }
  const leaf = path.at(-1) as Field;
  if (leaf.map !== undefined) return mapTarget(path, leaf, bracket < 0 ? undefined : name.slice(bracket));
  if (bracket >= 0) return { kind: "unbindable", why: `"${dotted}" is not a map` };
  if (!isTextBindable(leaf)) {
    const what = leaf.repeated ? "a repeated message" : "a message";
    return { kind: "unbindable", why: `"${dotted}" is ${what} and cannot come from the query` };
  }
  return { kind: "target", target: { path, key: undefined } };
}

function mapTarget(path: readonly Field[], leaf: Field, subscript: string | undefined): Resolution {
  if (subscript === undefined || !subscript.endsWith("]")) {
    return { kind: "unbindable", why: `"${leaf.name}" is a map; write ${leaf.jsonName}[key]=value` };
  }
  if (leaf.map !== undefined && !isTextBindable(leaf.map.value)) {
    return { kind: "unbindable", why: `"${leaf.name}" is a map of messages and cannot come from the query` };
  }
  return { kind: "target", target: { path, key: subscript.slice(1, -1) } };
}

/** The message to look into for `field.x`, or why there is none. */
function nested(field: Field): MessageType | string {
  if (field.map !== undefined) return `"${field.name}" is a map; write ${field.jsonName}[key]=value`;
  if (field.message === undefined) return `"${field.name}" is not a message and has no fields`;
  if (field.repeated) return `"${field.name}" is a repeated message and cannot come from the query`;
  if (isWellKnown(field.message)) {
    return `"${field.name}" is a ${field.message.fullName}, which is written as one value`;
  }
  return field.message;
}

function unknown(message: MessageType, names: readonly string[], index: number): Resolution {
  const near = nearest(
    names[index] ?? "",
    message.fields.map(field => field.jsonName),
  );
  const suggestion =
    near === undefined ? undefined : [...names.slice(0, index), near, ...names.slice(index + 1)].join(".");
  return { kind: "unknown", suggestion };
}
