import type { Field, Model } from "../../descriptors/model.js";
import { TranscodeError } from "../error.js";
import { cost, Slice } from "../work.js";
import type { JsonWriter } from "./json-writer.js";
import { malformed, Reader } from "./reader.js";

/**
 * Turns wire bytes from `reader.pos` to `end` into JSON text and leaves `pos` at `end`.
 * @param depth levels of JSON objects and lists that may still open, the value's own included
 */
export type Decode = (reader: Reader, end: number, depth: number) => string;

/** `Decode` that yields wherever it may be left for a while. */
export type DecodeSteps = (
  reader: Reader,
  end: number,
  depth: number,
  slice: Slice,
) => Generator<void, string>;

/**
 * Prints wire bytes from `reader.pos` to `end` as JSON, with a comma after it, in one pass.
 * @throws BAIL or TranscodeError where `Decode` has to decide what the bytes mean
 */
export type Print = (reader: Reader, end: number, out: JsonWriter, depth: number) => void;

/** `Print` that yields wherever it may be left for a while. */
export type PrintSteps = (
  reader: Reader,
  end: number,
  out: JsonWriter,
  depth: number,
  slice: Slice,
) => Generator<void, void>;

/** A decoder that other decoders refer to; compiled at its first use, so types may recur. */
export interface DecodeNode {
  decode: Decode;
  decodeSteps: DecodeSteps;
  print: Print;
  steps: PrintSteps;
}

/** A slice that never ends. */
const unbounded = new Slice(0);

/** In one step, for small values. */
export function oneStep(decode: Decode): DecodeSteps {
  // biome-ignore lint/correctness/useYield: it has no place to stop
  return function* (reader, end, depth) {
    return decode(reader, end, depth);
  };
}

/** Decodes in one step with a decoder of several steps, for rare values. */
export function decodeAtOnce(steps: DecodeSteps): Decode {
  return (reader, end, depth) => atOnce(steps(reader, end, depth, unbounded));
}

function atOnce<T>(steps: Generator<void, T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

/** In one step, for values that are small or rare. */
export function singleStep(node: Pick<DecodeNode, "print">): PrintSteps {
  // biome-ignore lint/correctness/useYield: it has no place to stop
  return function* (reader, end, out, depth) {
    node.print(reader, end, out, depth);
  };
}

/** Prints by way of a string, in steps. */
export function textSteps(node: Pick<DecodeNode, "decodeSteps">): PrintSteps {
  return function* (reader, end, out, depth, slice) {
    reader.spend(cost.textValue);
    out.text(yield* node.decodeSteps(reader, end, depth, slice));
    out.byte(0x2c);
  };
}

/** Prints by way of a string. */
export function textPrinter(node: Pick<DecodeNode, "decode">): Print {
  return (reader, end, out, depth) => {
    reader.spend(cost.textValue);
    out.text(node.decode(reader, end, depth));
    out.byte(0x2c);
  };
}

/** Reads one map entry into `entries`, from the key's JSON text to the value's. */
export type DecodeEntry = (reader: Reader, end: number, depth: number, entries: Map<string, string>) => void;

/** The same in steps. */
export type DecodeEntrySteps = (
  reader: Reader,
  end: number,
  depth: number,
  entries: Map<string, string>,
  slice: Slice,
) => Generator<void, void>;

export interface EntryNode {
  decode: DecodeEntry;
  decodeSteps: DecodeEntrySteps;
}

/** Starts and ends of the pieces of a value, in turn. */
export type Spans = number[];

/** The pieces so far and one more; messages that come in pieces are merged by joining these. */
export function withSpan(
  spans: Spans | undefined,
  firstStart: number,
  firstEnd: number,
  start: number,
  end: number,
): Spans {
  if (spans === undefined) return [firstStart, firstEnd, start, end];
  spans.push(start, end);
  return spans;
}

/** Decodes a message field from its one span, or from all its pieces where it came in several. */
export function messageText(
  reader: Reader,
  start: number,
  end: number,
  spans: Spans | undefined,
  node: DecodeNode,
  depth: number,
): string {
  if (spans !== undefined) return atOnce(joinedSteps(reader, spans, node, depth, unbounded));
  reader.pos = start;
  return node.decode(reader, end, depth);
}

/** `messageText` in steps. */
export function* messageSteps(
  reader: Reader,
  start: number,
  end: number,
  spans: Spans | undefined,
  node: DecodeNode,
  depth: number,
  slice: Slice,
): Generator<void, string> {
  if (spans !== undefined) return yield* joinedSteps(reader, spans, node, depth, slice);
  reader.pos = start;
  return yield* node.decodeSteps(reader, end, depth, slice);
}

function* joinedSteps(
  reader: Reader,
  spans: Spans,
  node: DecodeNode,
  depth: number,
  slice: Slice,
): Generator<void, string> {
  let length = 0;
  for (let index = 0; index < spans.length; index += 2) length += spans[index + 1]! - spans[index]!;
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (let index = 0; index < spans.length; index += 2) {
    reader.spend(2 * cost.piece);
    at += reader.bytes.copy(bytes, at, spans[index], spans[index + 1]);
    if (slice.over(reader)) yield;
  }
  const joined = new Reader(bytes, reader.units);
  const text = yield* node.decodeSteps(joined, joined.bytes.length, depth, slice);
  reader.units = joined.units;
  return text;
}

/** The object of a map field. */
export function mapText(entries: ReadonlyMap<string, string>): string {
  let out = "";
  for (const [key, value] of entries) out += `${out === "" ? "{" : ","}${key}:${value}`;
  return `${out}}`;
}

/** Gathers and prints the extension fields of one message type. */
export class ExtensionPrinter {
  readonly #model: Model;
  readonly #extendee: string;
  readonly #nodeOf: (field: Field) => DecodeNode;

  /** @param nodeOf gives the decoder of one field from the bytes of its parent; empty text where it is absent */
  constructor(model: Model, extendee: string, nodeOf: (field: Field) => DecodeNode) {
    this.#model = model;
    this.#extendee = extendee;
    this.#nodeOf = nodeOf;
  }

  /** Passes over a field that the type does not declare, and notes where it is when it is an extension. */
  gather(
    reader: Reader,
    tag: number,
    start: number,
    found: Map<number, Spans> | undefined,
    depth: number,
  ): Map<number, Spans> | undefined {
    reader.skip(tag, depth);
    const number = tag >>> 3;
    if (this.#model.extension(this.#extendee, number) === undefined) return found;
    const all = found ?? new Map<number, Spans>();
    const spans = all.get(number);
    if (spans === undefined) all.set(number, [start, reader.pos]);
    else spans.push(start, reader.pos);
    return all;
  }

  /** `out`, an unfinished object, and the extensions found, by number. */
  print(reader: Reader, found: ReadonlyMap<number, Spans>, out: string, depth: number): string {
    return atOnce(this.printSteps(reader, found, out, depth, unbounded));
  }

  /** `print` in steps. */
  *printSteps(
    reader: Reader,
    found: ReadonlyMap<number, Spans>,
    out: string,
    depth: number,
    slice: Slice,
  ): Generator<void, string> {
    let text = out;
    for (const number of [...found.keys()].sort((a, b) => a - b)) {
      const field = this.#model.extension(this.#extendee, number)!;
      // A member of the object that `depth` counts.
      const value = yield* joinedSteps(reader, found.get(number)!, this.#nodeOf(field), depth - 1, slice);
      if (value !== "") text += `${text === "" ? "{" : ","}${JSON.stringify(field.jsonName)}:${value}`;
    }
    return text;
  }
}

export function tooDeep(): TranscodeError {
  return new TranscodeError("TOO_DEEP", "", "the message nests too deep");
}

export function missing(name: string): TranscodeError {
  return malformed(`the required field ${name} is missing`);
}

/** The error to throw on from a message: ours gets the field's name, and an index of 0 or more, before its path. */
export function located(error: unknown, name: string | undefined, index: number): unknown {
  if (error instanceof TranscodeError) return error.within(index < 0 ? "" : `[${index}]`).within(name ?? "");
  // V8 has no text longer than about half a gigabyte.
  if (error instanceof RangeError) return malformed("the message is too large to be written as JSON");
  return error;
}
