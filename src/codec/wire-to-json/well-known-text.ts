import { isUtf8 } from "node:buffer";
import type { MessageType, Model } from "../../descriptors/model.js";
import { asBuffer } from "../../net/buffer.js";
import { TranscodeError } from "../error.js";
import { formatMaskPath } from "../field-mask.js";
import { formatDuration, formatTimestamp, type Instant, isTimestamp } from "../instant.js";
import { BAIL } from "../json-to-wire/json-cursor.js";
import { isWellKnown, type OwnWrappers } from "../well-known.js";
import { cost, type Slice } from "../work.js";
import {
  type Decode,
  type DecodeNode,
  type DecodeSteps,
  decodeAtOnce,
  type Print,
  type PrintSteps,
  tooDeep,
} from "./decode.js";
import { JsonPiece, type JsonWriter } from "./json-writer.js";
import { malformed, Reader, truncated } from "./reader.js";
import { printBool, printDouble, printString } from "./scalar-print.js";
import { stringText } from "./scalar-text.js";

/** Decodes `google.protobuf.Timestamp` to its JSON text. */
export const timestampText: Decode = instantDecoder("timestamp", formatTimestamp);

/** Decodes `google.protobuf.Duration` to its JSON text. */
export const durationText: Decode = instantDecoder("duration", formatDuration);

type Format = (seconds: number, nanos: number) => string | undefined;

/** Both types are `int64 seconds = 1; int32 nanos = 2;`. */
function instantDecoder(what: string, format: Format): Decode {
  return (reader, end, depth) => {
    const { seconds, nanos } = readInstant(reader, end, depth);
    reader.spend(cost.timeText);
    const text = format(seconds, nanos);
    if (text === undefined)
      throw malformed(`a ${what} of ${seconds} seconds and ${nanos} nanos is out of range`);
    return `"${text}"`;
  };
}

/** Prints `google.protobuf.Timestamp` without making a string of it. */
export const printTimestamp: Print = (reader, end, out, depth) => {
  reader.spend(cost.time);
  const { seconds, nanos } = readInstant(reader, end, depth);
  if (!isTimestamp(seconds, nanos)) throw BAIL;
  out.utc(seconds, nanos);
  out.byte(0x2c);
};

function readInstant(reader: Reader, end: number, depth: number): Instant {
  let seconds = 0;
  let nanos = 0;
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag === 8) {
      reader.varint64();
      seconds = (reader.high | 0) * 0x1_0000_0000 + reader.low;
    } else if (tag === 16) {
      nanos = reader.uint32() | 0;
    } else {
      reader.skip(tag, depth);
    }
  }
  finish(reader, end);
  return { seconds, nanos };
}

const nullText = new JsonPiece("null,");

/** Prints `google.protobuf.Value` (its fields: `copyValue`) from its one field; none and several are rare. */
export function valuePrinter(struct: DecodeNode, list: DecodeNode): Print {
  return (reader, end, out, depth) => {
    if (reader.pos >= end) throw BAIL;
    reader.spend(cost.value);
    switch (reader.tag()) {
      case 8:
        reader.varint64();
        out.piece(nullText);
        break;
      case 17: {
        if (reader.pos + 8 > end) throw BAIL;
        printFinite(reader, out);
        break;
      }
      case 26:
        printString(reader, out, undefined, false);
        break;
      case 32:
        printBool(reader, out, undefined, false);
        break;
      case 42:
        struct.print(reader, reader.span(), out, depth);
        break;
      case 50:
        list.print(reader, reader.span(), out, depth);
        break;
      default:
        throw BAIL;
    }
    if (reader.pos !== end) throw BAIL;
  };
}

/** `valuePrinter` in steps. */
export function valueSteps(print: Print, struct: DecodeNode, list: DecodeNode): PrintSteps {
  return function* (reader, end, out, depth, slice) {
    const tag = reader.pos < end ? reader.bytes[reader.pos] : undefined;
    const node = tag === 42 ? struct : tag === 50 ? list : undefined;
    if (node === undefined) {
      print(reader, end, out, depth);
      return;
    }
    reader.spend(cost.value);
    reader.pos++;
    yield* node.steps(reader, reader.span(), out, depth, slice);
    if (reader.pos !== end) throw BAIL;
  };
}

function printFinite(reader: Reader, out: JsonWriter): void {
  const start = reader.pos;
  if (!Number.isFinite(reader.double())) throw BAIL;
  reader.pos = start;
  printDouble(reader, out, undefined, false);
}

/** Decodes `google.protobuf.FieldMask` (`repeated string paths = 1`) to its JSON text. */
export const fieldMaskText: Decode = (reader, end, depth) => {
  reader.spend(cost.wellKnownText);
  // Each path has a tag and a length before it, which leaves room for the commas.
  const out = Buffer.allocUnsafe(end - reader.pos);
  let to = 0;
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag !== 10) {
      reader.skip(tag, depth);
      continue;
    }
    const stop = reader.span();
    if (to > 0) out[to++] = 0x2c;
    to = formatMaskPath(reader.bytes, reader.pos, stop, out, to);
    if (to < 0) throw malformed("a path of a field mask has no lowerCamelCase form");
    reader.pos = stop;
  }
  finish(reader, end);
  const text = out.subarray(0, to);
  if (!isUtf8(text)) throw malformed("a string is not valid UTF-8");
  // Keys of maps, in backticks, are of any characters.
  return JSON.stringify(text.toString("utf8"));
};

function finish(reader: Reader, end: number): void {
  if (reader.pos !== end) throw truncated();
}

/**
 * Prints `google.protobuf.Any`. A type that the model lacks, or bytes that are not of the type, degrade to
 * `{"@type": url, "value": base64}`: an opaque detail must not destroy the response that carries it.
 */
export class AnyPrinter {
  readonly #model: Model;
  readonly #wrappers: OwnWrappers;
  readonly #nodeOf: (type: MessageType) => DecodeNode;

  constructor(model: Model, wrappers: OwnWrappers, nodeOf: (type: MessageType) => DecodeNode) {
    this.#model = model;
    this.#wrappers = wrappers;
    this.#nodeOf = nodeOf;
  }

  /** Decodes the Any message itself: `string type_url = 1; bytes value = 2;`. */
  readonly decodeSteps: DecodeSteps = (reader, end, depth, slice) => this.#steps(reader, end, depth, slice);

  /** The same in one step. */
  readonly decode: Decode = decodeAtOnce(this.decodeSteps);

  *#steps(reader: Reader, end: number, depth: number, slice: Slice): Generator<void, string> {
    if (depth <= 0) throw tooDeep();
    reader.spend(cost.any);
    let url = '""';
    let start = end;
    let stop = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 10) {
        url = stringText(reader);
      } else if (tag === 18) {
        stop = reader.span();
        start = reader.pos;
        reader.pos = stop;
      } else {
        reader.skip(tag, depth);
      }
    }
    if (reader.pos !== end) throw truncated();
    if (url === '""' && start === stop) return "{}";
    const inner = new Reader(reader.bytes.subarray(start, stop), reader.units);
    const text = yield* this.#print(JSON.parse(url) as string, inner, depth, slice);
    reader.units = inner.units;
    reader.pos = end;
    return text;
  }

  /**
   * Never throws for any content of `value`.
   * @param depth levels of JSON that may still open, the Any's own object included
   */
  print(typeUrl: string, value: Uint8Array, depth: number): string {
    try {
      const read: DecodeSteps = (reader, _, levels, slice) => this.#print(typeUrl, reader, levels, slice);
      return decodeAtOnce(read)(new Reader(value), value.length, depth);
    } catch (error) {
      if (!(error instanceof TranscodeError)) throw error;
      return opaque(`{"@type":${JSON.stringify(typeUrl)}`, asBuffer(value));
    }
  }

  /** @throws TranscodeError TOO_COMPLEX alone */
  *#print(typeUrl: string, value: Reader, depth: number, slice: Slice): Generator<void, string> {
    const { bytes } = value;
    const head = `{"@type":${JSON.stringify(typeUrl)}`;
    const type = resolveAny(this.#model, typeUrl);
    if (type !== undefined) {
      try {
        const isBare = isWellKnown(type, this.#wrappers);
        const levels = isBare ? depth - 1 : depth;
        const text = yield* this.#nodeOf(type).decodeSteps(value, bytes.length, levels, slice);
        if (isBare) return `${head},"value":${text}}`;
        return text === "{}" ? `${head}}` : `${head},${text.slice(1)}`;
      } catch (error) {
        if (!(error instanceof TranscodeError)) throw error;
        value.spend(cost.brokenAny);
      }
    }
    return opaque(head, bytes);
  }
}

/** @param head the object with its type, still open */
function opaque(head: string, value: Buffer): string {
  return `${head},"value":"${value.toString("base64")}"}`;
}

/** The type that a type URL names: the text after its last slash. */
export function resolveAny(model: Model, typeUrl: string): MessageType | undefined {
  return model.message(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
}
