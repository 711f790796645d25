import { nearest } from "../../config/nearest.js";
import type { Field, MessageType } from "../../descriptors/model.js";
import { excerpt, TranscodeError } from "../error.js";
import type { JsonValue } from "../json.js";
import { isWellKnown, type OwnWrappers } from "../well-known.js";
import { isParted, isTextBindable } from "./text-value.js";

/** Where a query parameter goes: the fields from the request message down to the leaf, and a key where that is a map. */
export interface QueryTarget {
  readonly path: readonly Field[];
  /** The names of the path as they were sent. */
  readonly names: readonly string[];
  readonly key: string | undefined;
  /** The field of the leaf, a well-known type, that the value is for; undefined where it is the whole leaf. */
  readonly part: Field | undefined;
}

/** `suggest` looks for the nearest valid name, which costs more than all else: only for a name that is refused; `unbindable` says why a known field cannot come from a query. */
export type Resolution =
  | { readonly kind: "target"; readonly target: QueryTarget }
  | { readonly kind: "unknown"; readonly suggest: () => string | undefined }
  | { readonly kind: "unbindable"; readonly why: string };

/** Most parameters that the query of one request may carry. */
const maxParameters = 1000;

/** Longer names are no typing errors; a search for the nearest name would not help. */
const maxSuggestedChars = 256;

/**
 * Splits a raw query into decoded names and values, calling `each` in order. `+` is a space; a parameter
 * without `=` has an empty value; empty parameters (`a=1&&b=2`) are passed over.
 * @throws TranscodeError MALFORMED_QUERY for invalid percent-encoding or too many parameters
 */
export function eachParameter(
  raw: string,
  each: (name: string, value: string) => void,
  most = maxParameters,
): void {
  let count = 0;
  for (let start = 0; start < raw.length; ) {
    let end = raw.indexOf("&", start);
    if (end < 0) end = raw.length;
    if (end > start) {
      count += 1;
      if (count > most)
        throw new TranscodeError("MALFORMED_QUERY", "", `the query has more than ${most} parameters`);
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
 * Finds the field that a parameter name means: dotted nested fields, proto and JSON names both (JSON names may hold dots
 * and brackets themselves), `m[key]` for maps. Timestamp, Duration, FieldMask and wrappers are found whole and by their
 * fields. Repeated scalars are fine; a repeated message cannot come from the query (`google/api/http.proto`).
 */
export function resolveParameter(type: MessageType, name: string, wrappers: OwnWrappers): Resolution {
  const found = find(type, name, wrappers);
  if (found.kind !== "nameless") return found;
  return { kind: "unknown", suggest: () => suggestion(found, name, wrappers) };
}

function suggestion(
  { message, names, rest }: Nameless,
  name: string,
  wrappers: OwnWrappers,
): string | undefined {
  const wrong = nextName(message, rest);
  const tail = rest.slice(wrong.length);
  if (name.length > maxSuggestedChars) return undefined;
  const suits = (candidate: string): boolean => find(message, candidate + tail, wrappers).kind === "target";
  const near = nearest(wrong, [...message.fieldsByName.keys()].filter(suits));
  return near === undefined ? undefined : [...names, near].join(".") + tail;
}

/** Where a name stops being known. */
interface Nameless {
  readonly kind: "nameless";
  readonly message: MessageType;
  /** The names before. */
  readonly names: readonly string[];
  /** The rest of the parameter. */
  readonly rest: string;
}

function find(
  type: MessageType,
  name: string,
  wrappers: OwnWrappers,
): Exclude<Resolution, { readonly kind: "unknown" }> | Nameless {
  const path: Field[] = [];
  const names: string[] = [];
  let message = type;
  for (let rest = name; ; ) {
    const next = nextName(message, rest);
    const field = message.fieldsByName.get(next);
    if (field === undefined) return { kind: "nameless", message, names, rest };
    const after = rest.slice(next.length);
    const last = path.at(-1);
    if (last !== undefined && hasFields(last, wrappers)) {
      if (after !== "")
        return { kind: "unbindable", why: `"${field.name}" is not a message and has no fields` };
      return { kind: "target", target: { path, names, key: undefined, part: field } };
    }
    path.push(field);
    names.push(next);
    if (!after.startsWith(".")) return leafTarget(path, names, after, wrappers);
    const inner = nested(field, wrappers);
    if (typeof inner === "string") return { kind: "unbindable", why: inner };
    message = inner;
    rest = after.slice(1);
  }
}

/** The name that a parameter begins with: the longest of the message's own with a dot or bracket, else up to the first. */
function nextName(message: MessageType, rest: string): string {
  let longest = "";
  for (const name of punctuatedNames(message)) {
    const ends = rest.length === name.length || rest[name.length] === "." || rest[name.length] === "[";
    if (ends && name.length > longest.length && rest.startsWith(name)) longest = name;
  }
  if (longest !== "") return longest;
  const end = rest.search(/[.[]/);
  return end < 0 ? rest : rest.slice(0, end);
}

const noNames: readonly string[] = [];
const punctuated = new WeakMap<MessageType, readonly string[]>();

function punctuatedNames(message: MessageType): readonly string[] {
  let names = punctuated.get(message);
  if (names === undefined) {
    const found = [...message.fieldsByName.keys()].filter(name => /[.[]/.test(name));
    names = found.length === 0 ? noNames : found;
    punctuated.set(message, names);
  }
  return names;
}

/** @param subscript the text after the last name: empty, or from a bracket on */
function leafTarget(
  path: readonly Field[],
  names: readonly string[],
  subscript: string,
  wrappers: OwnWrappers,
): Exclude<Resolution, { readonly kind: "unknown" }> {
  const leaf = path.at(-1) as Field;
  if (leaf.map !== undefined) {
    if (!subscript.endsWith("]")) {
      return { kind: "unbindable", why: `"${leaf.name}" is a map; write ${leaf.jsonName}[key]=value` };
    }
    if (!isTextBindable(leaf.map.value, wrappers)) {
      return {
        kind: "unbindable",
        why: `"${leaf.name}" is a map of messages and cannot come from the query`,
      };
    }
    return { kind: "target", target: { path, names, key: subscript.slice(1, -1), part: undefined } };
  }
  if (subscript !== "") return { kind: "unbindable", why: `"${names.join(".")}" is not a map` };
  if (!isTextBindable(leaf, wrappers)) {
    const what = leaf.repeated ? "a repeated message" : "a message";
    return { kind: "unbindable", why: `"${names.join(".")}" is ${what} and cannot come from the query` };
  }
  return { kind: "target", target: { path, names, key: undefined, part: undefined } };
}

/** The message to look into for `field.x`, or why there is none. */
function nested(field: Field, wrappers: OwnWrappers): MessageType | string {
  if (field.map !== undefined) return `"${field.name}" is a map; write ${field.jsonName}[key]=value`;
  if (field.message === undefined) return `"${field.name}" is not a message and has no fields`;
  if (field.repeated) return `"${field.name}" is a repeated message and cannot come from the query`;
  if (isWellKnown(field.message, wrappers) && !hasFields(field, wrappers)) {
    return `"${field.name}" is a ${field.message.fullName}, which is written as one value`;
  }
  return field.message;
}

/** A well-known type that the query gives field by field. */
export interface PartedParameter<T extends QueryTarget> {
  /** Of the first part. */
  readonly name: string;
  readonly target: T;
  readonly parts: Map<Field, JsonValue>;
}

/** Adds one part. @returns false where a part that holds one value has come already */
export function gatherPart<T extends QueryTarget>(
  parted: Map<string, PartedParameter<T>>,
  name: string,
  target: T,
  part: Field,
  value: JsonValue,
): boolean {
  const key = target.path.map(field => field.name).join(".");
  let parameter = parted.get(key);
  if (parameter === undefined) {
    parameter = { name, target, parts: new Map() };
    parted.set(key, parameter);
  }
  const before = parameter.parts.get(part);
  if (Array.isArray(before)) before.push(value);
  else if (before !== undefined) return false;
  else parameter.parts.set(part, part.repeated ? [value] : value);
  return true;
}

/** True for well-known types that a query may also give field by field. */
function hasFields({ message, repeated }: Field, wrappers: OwnWrappers): boolean {
  return message !== undefined && !repeated && isParted(message, wrappers);
}
