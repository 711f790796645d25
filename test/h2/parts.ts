import { FrameReader, type FrameSink } from "../../src/h2/frame-reader.js";
import { HpackDecoder } from "../../src/h2/hpack-decoder.js";
import { fieldType, HeaderField } from "../../src/h2/hpack-table.js";

const maxHeaderListSize = 64 * 1024;
const plainFields = fieldType((name, value) => new HeaderField(name, value));

/** A reader with the limits of HTTP/2's initial settings, and header blocks of up to 64 KiB. */
export function frameReader(sink: FrameSink): FrameReader {
  return new FrameReader(sink, 16_384, maxHeaderListSize);
}

/** A decoder with a table of 4,096 bytes, whose fields are names and values. */
export function hpackDecoder(): HpackDecoder<HeaderField> {
  return new HpackDecoder(plainFields, 4096, maxHeaderListSize);
}
