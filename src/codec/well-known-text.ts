import { isUtf8 } from "node:buffer";
import type { Decode, Print } from "./decode-step.js";
import { formatDuration } from "./duration.js";
import { formatMaskPath } from "./field-mask.js";
import { BAIL } from "./json-cursor.js";
import { malformed, type Reader, truncated } from "./reader.js";
import { formatTimestamp, type Instant, isTimestamp } from "./timestamp.js";

/** Decodes `google.protobuf.Timestamp` to its JSON text. */
export const timestampText: Decode = instantDecoder("timestamp", formatTimestamp);

/** Decodes `google.protobuf.Duration` to its JSON text. */
export const durationText: Decode = instantDecoder("duration", formatDuration);

type Format = (seconds: number, nanos: number) => string | undefined;

/** Both types are `int64 seconds = 1; int32 nanos = 2;`. */
function instantDecoder(what: string, format: Format): Decode {
  return (reader, end, depth) => {
    const { seconds, nanos } = readInstant(reader, end, depth);
    const text = format(seconds, nanos);
    if (text === undefined)
      throw malformed(`a ${what} of ${seconds} seconds and ${nanos} nanos is out of range`);
    return `"${text}"`;
  };
}

/** Prints `google.protobuf.Timestamp` without making a string of it. */
export const printTimestamp: Print = (reader, end, out, depth) => {
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

/** Decodes `google.protobuf.FieldMask` (`repeated string paths = 1`) to its JSON text. */
export const fieldMaskText: Decode = (reader, end, depth) => {
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
