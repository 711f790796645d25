/*
 * How the pieces fit. `Codecs` (codecs.ts) holds one codec a message type and policy, each compiled at its first use.
 *
 * json-to-wire/: a request is one pass over the JSON text: `text-encoder.ts` generates a function that moves a `JsonCursor`
 * over the bytes and copies values to a `Writer`. Text that one pass does not understand (it throws BAIL) is read again
 * as a tree (`parse-json.ts`) and written by `tree-encoder.ts`, which also finds the error. `request.ts` joins
 * path variables, query and body; a plan that needs no tree is a `BodyCopy`.
 * wire-to-json/: a response is one pass over the wire: `printer.ts` generates a function that moves a `Reader` and prints
 * to a `JsonWriter`. Fields in pieces or repeated ones, which are legal and rare, go through `text-decoder.ts`.
 * `work.ts` bounds what either may cost.
 */

import type { JsonValue } from "./json.js";
import type { Writer } from "./json-to-wire/writer.js";
import type { OwnWrappers } from "./well-known.js";

export type EmitDefaults = boolean | "with_null";

/** How ProtoJSON is printed and read. One codec is compiled for each message type and policy. */
export interface JsonPolicy {
  /** `name`: value names, numbers only where a value has none. `number`: always numbers. */
  readonly enums: "name" | "number";
  /** `string` is canonical. `number`: as JSON numbers where exact in a double, else as strings. */
  readonly int64: "string" | "number";
  /**
   * True prints fields without presence that hold their default, empty lists and empty maps. `with_null` also prints
   * `null` for what has presence and is not set, as `EmitUnpopulated` of protojson in Go does: messages, and scalars of
   * proto2 and editions, but no members of a oneof and nothing that is `optional` in proto3.
   */
  readonly emitDefaults: EmitDefaults;
  /** `json`: lowerCamelCase or `json_name`. `proto`: names as in the proto. Reading accepts both. */
  readonly names: "json" | "proto";
  readonly unknownFields: "reject" | "ignore";
  /** Most levels of nested JSON objects and lists, both ways. */
  readonly depth: number;
  /** Each has exactly one field, a scalar or enum named `value`, as `wrappedField` demands. None where it is left out. */
  readonly wrappers?: OwnWrappers;
}

/** ProtoJSON ⇄ wire for one message type and policy. Immutable, and shared by any number of requests. */
export interface Codec {
  /**
   * ProtoJSON → wire.
   * @throws TranscodeError naming the field (`message.author.login`) when the value does not fit the type.
   */
  encode(json: JsonValue, into: Writer): void;
  /**
   * A whole JSON text in UTF-8 → wire, with fields in the order of their members. As `encode` after `parseJson`,
   * but in one pass over the bytes wherever the text is well-formed.
   * @throws TranscodeError as `parseJson` and `encode` do
   */
  encodeText(text: Uint8Array, into: Writer): void;
  /**
   * The bytes of the message from a whole JSON text. A large one is read in slices, one after the other, so that no turn
   * of the event loop takes long.
   * @param scratch a writer that is not in use, for a text that is small
   * @throws (or rejects with) TranscodeError as `encodeText` does
   */
  encodeTextInTurns(text: Uint8Array, scratch: Writer): Uint8Array | Promise<Uint8Array>;
  /**
   * Wire → ProtoJSON text.
   * @throws TranscodeError when the bytes are not a message of this type.
   */
  decode(wire: Uint8Array): string;
  /** The same; a large message is printed in slices, one after the other, so that no turn of the event loop takes long. */
  decodeInTurns(wire: Uint8Array): string | Promise<string>;
}
