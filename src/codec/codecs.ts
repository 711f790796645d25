import { setImmediate } from "node:timers/promises";
import type { Field, MessageType, Model } from "../descriptors/model.js";
import { inLine } from "../net/pace.js";
import type { Codec, JsonPolicy } from "./codec.js";
import { TranscodeError } from "./error.js";
import type { JsonValue } from "./json.js";
import type { EncodeNode, TextEncoder } from "./json-to-wire/encode.js";
import { Encoders } from "./json-to-wire/encoders.js";
import { BAIL, JsonCursor } from "./json-to-wire/json-cursor.js";
import { parseJson } from "./json-to-wire/parse-json.js";
import { Writer } from "./json-to-wire/writer.js";
import { noWrappers, type OwnWrappers } from "./well-known.js";
import type { DecodeNode } from "./wire-to-json/decode.js";
import { Decoders } from "./wire-to-json/decoders.js";
import { JsonWriter } from "./wire-to-json/json-writer.js";
import { Reader } from "./wire-to-json/reader.js";
import {
  largeMessageBytes,
  largeTextBytes,
  maxGatheredWorkUnits,
  maxResponseWorkUnits,
  maxWorkUnits,
  Slice,
  tooComplex,
  type Work,
} from "./work.js";

/** ProtoJSON ⇄ wire for a single field of a message: `body: "field"` and `response_body`. */
export interface FieldCodec {
  /**
   * Writes the field with its tag into the parent message. Null writes nothing, unless null is a value of the field.
   * @throws TranscodeError whose path begins with the field's name
   */
  encode(json: JsonValue, into: Writer): void;
  /**
   * The same from a whole JSON text in UTF-8, in one pass wherever it is well-formed.
   * @throws TranscodeError as `parseJson` and `encode` do
   */
  encodeText(text: Uint8Array, into: Writer): void;
  /**
   * The JSON text of the field from the bytes of its parent message. Where it is absent: `[]`, `{}`, `""`, `0`, the
   * first enum value, and `null` for a message.
   * @throws TranscodeError when the bytes are not a message
   */
  decode(parent: Uint8Array): string;
  /** As `Codec.decodeInTurns`. */
  decodeInTurns(parent: Uint8Array): string | Promise<string>;
}

/** Writes a whole JSON text in one pass. */
export interface TextCopy {
  /**
   * @param depth most levels of nested JSON, where the policy does not allow fewer
   * @param work the work that is left; the copy leaves the rest of it for the tree
   * @returns false where only the tree can decide what the text means or what is wrong with it; the bytes written so
   * far are then invalid
   */
  write(text: Uint8Array, into: Writer, depth: number, work: Work): boolean;
  /** The same in slices, a turn of the event loop each. */
  writeInSlices(text: Uint8Array, into: Writer, depth: number, work: Work): Promise<boolean>;
}

/** The codecs of one model under one policy. Each is compiled at its first use and kept. */
export interface Codecs {
  readonly wrappers: OwnWrappers;
  message(type: MessageType): Codec;
  field(field: Field): FieldCodec;
  /**
   * The one-pass half of `Codec.encodeText`, for messages whose fields at `paths` come from elsewhere: it fails for texts
   * that give one of them. The fields may not belong to oneofs.
   */
  textEncoderExcluding(type: MessageType, paths: readonly (readonly Field[])[]): TextCopy;
  /** The same for `FieldCodec.encodeText`; only paths that begin with the field matter. */
  fieldTextEncoderExcluding(field: Field, paths: readonly (readonly Field[])[]): TextCopy;
  /**
   * The JSON text of an Any; where the type is not in the model or the bytes are not of that type,
   * `{"@type": url, "value": base64}`. Never throws.
   */
  renderAny(typeUrl: string, value: Uint8Array): string;
}

interface CodecsOfModel {
  readonly byPolicy: WeakMap<JsonPolicy, Codecs>;
  readonly byKey: Map<string, Codecs>;
}

const known = new WeakMap<Model, CodecsOfModel>();

/** The codecs of a model under a policy; equal policies share one set. */
export function createCodecs(model: Model, policy: JsonPolicy): Codecs {
  let ofModel = known.get(model);
  if (ofModel === undefined) {
    ofModel = { byPolicy: new WeakMap(), byKey: new Map() };
    known.set(model, ofModel);
  }
  let codecs = ofModel.byPolicy.get(policy);
  if (codecs === undefined) {
    codecs = codecsOf(model, policy, ofModel.byKey);
    ofModel.byPolicy.set(policy, codecs);
  }
  return codecs;
}

function codecsOf(model: Model, policy: JsonPolicy, byKey: Map<string, Codecs>): Codecs {
  const { enums, int64, emitDefaults, names, unknownFields, depth, wrappers = noWrappers } = policy;
  const key = [enums, int64, emitDefaults, names, unknownFields, depth, ...[...wrappers].sort()].join();
  let codecs = byKey.get(key);
  if (codecs === undefined) {
    codecs = new CodecSet(model, { enums, int64, emitDefaults, names, unknownFields, depth, wrappers });
    byKey.set(key, codecs);
  }
  return codecs;
}

/** One pass over the text, and another by way of the tree where that does not do. */
function encodeText(node: EncodeNode, text: Uint8Array, into: Writer, depth: number): void {
  const start = into.length;
  const work = { units: maxWorkUnits };
  if (copyText(node, text, into, depth, work)) return;
  into.truncate(start);
  node.encode(parseJson(text, { depth, work }), into, depth);
}

/** @returns false, with something written, where the tree has to decide */
function copyText(
  { encodeText }: TextEncoder,
  text: Uint8Array,
  into: Writer,
  depth: number,
  work: Work,
): boolean {
  let cursor: JsonCursor | undefined;
  try {
    cursor = new JsonCursor(text, work.units);
    encodeText(cursor, into, depth);
    cursor.finish();
    return true;
  } catch (error) {
    return leftToTree(error, cursor, work);
  }
}

/** @returns false where the tree has to decide @throws errors that the tree would find as well */
function leftToTree(error: unknown, cursor: JsonCursor | undefined, work: Work): false {
  if (cursor !== undefined) {
    if (cursor.units < 0) throw tooComplex();
    work.units = cursor.units;
  }
  if (error === BAIL || error instanceof TranscodeError) return false;
  throw error;
}

/** `copyText` in slices; the first one waits for its turn, too. */
async function copyInSlices(
  node: TextEncoder,
  text: Uint8Array,
  into: Writer,
  depth: number,
  work: Work,
): Promise<boolean> {
  const slice = new Slice(work.units);
  let cursor: JsonCursor | undefined;
  try {
    await setImmediate();
    cursor = new JsonCursor(text, work.units);
    const steps = node.encodeTextSteps(cursor, into, depth, slice);
    slice.begin(into);
    while (steps.next().done !== true) {
      await setImmediate();
      slice.begin(into);
    }
    cursor.finish();
    return true;
  } catch (error) {
    return leftToTree(error, cursor, work);
  }
}

/** Large texts are encoded in slices. By way of the tree they take a turn to be read and another one to be written. */
function encodeTextInTurns(
  node: EncodeNode,
  text: Uint8Array,
  into: Writer,
  depth: number,
): Uint8Array | Promise<Uint8Array> {
  if (text.length <= largeTextBytes) {
    into.reset();
    encodeText(node, text, into, depth);
    return into.finish();
  }
  return inLine(async () => {
    const work = { units: maxWorkUnits };
    const own = new Writer(text.length);
    if (await copyInSlices(node, text, own, depth, work)) return own.finish();
    await setImmediate();
    const tree = parseJson(text, { depth, work });
    await setImmediate();
    own.reset();
    node.encode(tree, own, depth);
    return own.finish();
  });
}

/** Shared by all responses: each is printed without an await between `reset` and `finish`. */
const printer = new JsonWriter();

/** One pass over the bytes, and another field by field where that does not do. */
function decode(node: DecodeNode, wire: Uint8Array, depth: number): string {
  const reader = new Reader(wire);
  try {
    printer.reset();
    node.print(reader, wire.length, printer, depth);
    return printer.finish();
  } catch (error) {
    rethrowFinal(error, reader);
    reader.pos = 0;
    return node.decode(reader, wire.length, depth);
  }
}

/** Large messages are printed in slices. */
function decodeInTurns(node: DecodeNode, wire: Uint8Array, depth: number): string | Promise<string> {
  if (wire.length <= largeMessageBytes) return decode(node, wire, depth);
  return inLine(() => decodeInSlices(node, wire, depth));
}

async function decodeInSlices(node: DecodeNode, wire: Uint8Array, depth: number): Promise<string> {
  const reader = new Reader(wire);
  const out = new JsonWriter();
  const slice = new Slice(reader.units);
  try {
    const steps = node.steps(reader, wire.length, out, depth, slice);
    do {
      await setImmediate();
      slice.begin(out);
    } while (steps.next().done !== true);
    return out.finish();
  } catch (error) {
    rethrowFinal(error, reader);
  }
  reader.pos = 0;
  reader.units = maxGatheredWorkUnits;
  const again = new Slice(reader.units);
  const steps = node.decodeSteps(reader, wire.length, depth, again);
  for (;;) {
    await setImmediate();
    again.begin();
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** @throws errors that reading field by field would find as well */
function rethrowFinal(error: unknown, reader: Reader): void {
  if (reader.units < 0) throw tooComplex(maxResponseWorkUnits);
  if (error !== BAIL && !(error instanceof TranscodeError)) throw error;
}

class CodecSet implements Codecs {
  readonly wrappers: OwnWrappers;
  readonly #depth: number;
  readonly #encoders: Encoders;
  readonly #decoders: Decoders;
  readonly #codecs = new Map<MessageType, Codec>();
  readonly #fields = new Map<Field, FieldCodec>();

  constructor(model: Model, policy: JsonPolicy) {
    this.wrappers = policy.wrappers ?? noWrappers;
    this.#depth = policy.depth;
    this.#encoders = new Encoders(model, policy);
    this.#decoders = new Decoders(model, policy);
  }

  message(type: MessageType): Codec {
    let codec = this.#codecs.get(type);
    if (codec === undefined) {
      const encoder = this.#encoders.message(type);
      const decoder = this.#decoders.message(type);
      const depth = this.#depth;
      codec = {
        encode: (json, into) => encoder.encode(json, into, depth),
        encodeText: (text, into) => encodeText(encoder, text, into, depth),
        encodeTextInTurns: (text, into) => encodeTextInTurns(encoder, text, into, depth),
        decode: wire => decode(decoder, wire, depth),
        decodeInTurns: wire => decodeInTurns(decoder, wire, depth),
      };
      this.#codecs.set(type, codec);
    }
    return codec;
  }

  field(field: Field): FieldCodec {
    let codec = this.#fields.get(field);
    if (codec === undefined) {
      const encoder = this.#encoders.bareField(field);
      const decoder = this.#decoders.bareField(field);
      const zero = this.#decoders.zero(field);
      const depth = this.#depth;
      codec = {
        encode: (json, into) => encoder.encode(json, into, depth),
        encodeText: (text, into) => encodeText(encoder, text, into, depth),
        decode: parent => decode(decoder, parent, depth) || zero,
        decodeInTurns: parent => {
          const text = decodeInTurns(decoder, parent, depth);
          return text instanceof Promise ? text.then(printed => printed || zero) : text || zero;
        },
      };
      this.#fields.set(field, codec);
    }
    return codec;
  }

  textEncoderExcluding(type: MessageType, paths: readonly (readonly Field[])[]): TextCopy {
    return this.#textCopy(this.#encoders.textEncoderExcluding(type, paths));
  }

  fieldTextEncoderExcluding(field: Field, paths: readonly (readonly Field[])[]): TextCopy {
    return this.#textCopy(this.#encoders.fieldTextEncoderExcluding(field, paths));
  }

  #textCopy(encoder: TextEncoder): TextCopy {
    const most = this.#depth;
    return {
      write: (text, into, depth, work) => copyText(encoder, text, into, Math.min(depth, most), work),
      writeInSlices: (text, into, depth, work) =>
        copyInSlices(encoder, text, into, Math.min(depth, most), work),
    };
  }

  renderAny(typeUrl: string, value: Uint8Array): string {
    return this.#decoders.renderAny(typeUrl, value);
  }
}
