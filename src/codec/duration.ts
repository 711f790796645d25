import { TranscodeError } from "./error.js";
import { describeJson, type JsonValue } from "./json.js";
import { formatNanos, type Instant, parseNanos } from "./timestamp.js";

/** About 10,000 years (google/protobuf/duration.proto). */
const MOST_SECONDS = 315_576_000_000;

const SYNTAX = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

/**
 * Reads `1.5s`: seconds with up to nine digits after the point, within ±315,576,000,000 s.
 * @throws TranscodeError INVALID_VALUE
 */
export function parseDuration(value: JsonValue): Instant {
  const match = typeof value === "string" ? SYNTAX.exec(value) : null;
  const seconds = match === null ? Number.NaN : Number(match[2]);
  if (match === null || !(seconds <= MOST_SECONDS)) {
    throw new TranscodeError(
      "INVALID_VALUE",
      "",
      `expected a duration such as "1.5s", at most ${MOST_SECONDS}s, found ${describeJson(value)}`,
    );
  }
  const nanos = parseNanos(match[3]);
  return match[1] === "" ? { seconds, nanos } : { seconds: 0 - seconds, nanos: 0 - nanos };
}

/** Undefined where a part is out of range or the two have different signs. */
export function formatDuration(seconds: number, nanos: number): string | undefined {
  const whole = Math.abs(seconds);
  const part = Math.abs(nanos);
  if (
    !(whole <= MOST_SECONDS) ||
    part > 999_999_999 ||
    (seconds < 0 && nanos > 0) ||
    (seconds > 0 && nanos < 0)
  ) {
    return undefined;
  }
  return `${seconds < 0 || nanos < 0 ? "-" : ""}${whole}${formatNanos(part)}s`;
}
