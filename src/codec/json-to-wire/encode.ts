import { nearest } from "../../config/nearest.js";
import type { Field, MessageType, Model } from "../../descriptors/model.js";
import { excerpt, TranscodeError } from "../error.js";
import { isJsonObject, type JsonValue } from "../json.js";
import type { Slice } from "../work.js";
import type { JsonCursor } from "./json-cursor.js";
import { invalid } from "./scalar-value.js";
import type { Writer } from "./writer.js";

/**
 * Writes the content of a message, without tag and length, from its JSON value.
 * @param depth levels of JSON objects and lists that may still open, the value's own included
 */
export type Encode = (value: JsonValue, writer: Writer, depth: number) => void;

/**
 * Writes the content of a message from the JSON text at the cursor, in one pass and without a tree.
 * @param depth as for `Encode`
 * @throws BAIL or TranscodeError where the text may not fit the type; `Encode` then decides
 */
export type EncodeText = (cursor: JsonCursor, writer: Writer, depth: number) => void;

/** `EncodeText` that yields wherever it may be left for a while. */
export type EncodeTextSteps = (
  cursor: JsonCursor,
  writer: Writer,
  depth: number,
  slice: Slice,
) => Generator<void, void>;

/** The two forms of an encoder that makes one pass over a text. */
export interface TextEncoder {
  encodeText: EncodeText;
  encodeTextSteps: EncodeTextSteps;
}

/** An encoder that other encoders refer to; compiled at its first use, so types may recur. */
export interface EncodeNode extends TextEncoder {
  encode: Encode;
}

/** In one step, for values that are small or rare. */
export function singleStep(encodeText: EncodeText): EncodeTextSteps {
  // biome-ignore lint/correctness/useYield: it has no place to stop
  return function* (cursor, writer, depth) {
    encodeText(cursor, writer, depth);
  };
}

/** Resolves members that the message type does not declare. */
export class ExtraMembers {
  readonly #model: Model;
  readonly #type: MessageType;
  readonly #ignoreUnknown: boolean;
  readonly #names: readonly string[];
  readonly #nodeOf: (field: Field) => EncodeNode;

  /**
   * @param names the names that errors may suggest
   * @param nodeOf gives the encoder of one field, tag included
   */
  constructor(
    model: Model,
    type: MessageType,
    ignoreUnknown: boolean,
    names: readonly string[],
    nodeOf: (field: Field) => EncodeNode,
  ) {
    this.#model = model;
    this.#type = type;
    this.#ignoreUnknown = ignoreUnknown;
    this.#names = names;
    this.#nodeOf = nodeOf;
  }

  /**
   * The extensions found so far and the one that `name` means, if it means any.
   * @throws TranscodeError UNKNOWN_FIELD unless unknown fields are ignored
   */
  gather(
    name: string,
    value: JsonValue,
    found: Map<Field, JsonValue> | undefined,
  ): Map<Field, JsonValue> | undefined {
    const field = this.#extension(name);
    if (field === undefined) {
      if (this.#ignoreUnknown) return found;
      const shown = excerpt(name);
      throw new TranscodeError(
        "UNKNOWN_FIELD",
        shown,
        `${this.#type.fullName} has no field named ${JSON.stringify(shown)}`,
        nearest(shown, this.#names),
      );
    }
    return (found ?? new Map<Field, JsonValue>()).set(field, value);
  }

  /** Writes extensions by number. */
  write(found: ReadonlyMap<Field, JsonValue>, writer: Writer, depth: number): void {
    // Members of the object that `depth` counts.
    for (const [field, value] of [...found].sort(([a], [b]) => a.number - b.number)) {
      this.#nodeOf(field).encode(value, writer, depth - 1);
    }
  }

  #extension(name: string): Field | undefined {
    if (!this.#type.extendable || !name.startsWith("[") || !name.endsWith("]")) return undefined;
    const field = this.#model.extensionByName(name.slice(1, -1));
    return field?.parent.fullName === this.#type.fullName ? field : undefined;
  }
}

export function tooDeep(): TranscodeError {
  return new TranscodeError("TOO_DEEP", "", "the value nests too deep");
}

export function notObject(found: JsonValue): TranscodeError {
  return invalid("an object", found);
}

export function notList(found: JsonValue): TranscodeError {
  return invalid("a list", found);
}

export function loneSurrogate(): TranscodeError {
  return new TranscodeError("INVALID_VALUE", "", "the string has half of a surrogate pair");
}

export function missing(name: string): TranscodeError {
  return new TranscodeError("INVALID_VALUE", name, "a value is required");
}

/** A field given by its proto name and by its JSON name. */
export function duplicate(name: string, jsonName: string): TranscodeError {
  return new TranscodeError("DUPLICATE_KEY", name, `the field ${jsonName} is given by both of its names`);
}

export function conflict(name: string, other: string): TranscodeError {
  return new TranscodeError(
    "ONEOF_CONFLICT",
    name,
    `only one of the fields ${JSON.stringify(other)} and ${JSON.stringify(name)} may be set`,
  );
}

/**
 * The error to throw on from a message: ours gets the name of the field before its path.
 * @param item the field at fault
 * @param parent the object that gives the field by one of its names; undefined for a field on its own
 */
export function located(
  error: unknown,
  item: { readonly label: string; readonly field: Field },
  parent: JsonValue | undefined,
): unknown {
  return error instanceof TranscodeError ? error.within(sentName(item, parent)) : error;
}

function sentName(
  { label, field }: { readonly label: string; readonly field: Field },
  parent: JsonValue | undefined,
): string {
  if (parent === undefined || !isJsonObject(parent)) return label;
  return [label, field.name, field.jsonName].find(name => parent[name] !== undefined) ?? label;
}
