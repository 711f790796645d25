import { gatewayError } from "../../status/failure.js";

/** A frame of a client. */
export interface FrameLine {
  readonly text: string;
  /** Of the text in UTF-8. */
  readonly bytes: number;
}

const newline = 0x0a;
const carriageReturn = 0x0d;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The lines of a body in `application/x-ndjson`, without empty ones; all of them are fine, or none is taken.
 * @param maxLine bytes
 * @throws GatewayError BODY_TOO_LARGE for a longer line, MALFORMED_JSON for one that is not UTF-8
 */
export function readFrameLines(body: Uint8Array, maxLine: number): readonly FrameLine[] {
  const lines: FrameLine[] = [];
  for (let start = 0; start < body.length; ) {
    const at = body.indexOf(newline, start);
    const next = at < 0 ? body.length : at;
    const end = next > start && body[next - 1] === carriageReturn ? next - 1 : next;
    if (end > start) lines.push(readLine(body.subarray(start, end), maxLine, lines.length + 1));
    start = next + 1;
  }
  return lines;
}

function readLine(line: Uint8Array, maxLine: number, number: number): FrameLine {
  const { length } = line;
  if (length > maxLine)
    throw gatewayError("BODY_TOO_LARGE", `frame ${number} has ${length} bytes; the limit is ${maxLine}`);
  try {
    return { text: utf8.decode(line), bytes: length };
  } catch {
    throw gatewayError("MALFORMED_JSON", `frame ${number} is not UTF-8`);
  }
}
