import { WireReader } from "../wire/reader.js";
import { FIXED32, FIXED64, LENGTH, VARINT } from "../wire/wire-type.js";
import { WireWriter } from "../wire/writer.js";

/**
 * The few messages of `google/rpc/status.proto` and `google/rpc/error_details.proto` that the gateway reads and
 * makes itself. They are written by hand because failures must be readable with any loaded descriptors.
 */

/** A `google.protobuf.Any`, its value still serialized. */
export interface AnyValue {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** A `google.rpc.Status`. */
export interface RpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly AnyValue[];
}

/** One `google.rpc.BadRequest.FieldViolation`. */
export interface FieldViolation {
  /** Path of the field as a client writes it, `message.author.login`. */
  readonly field: string;
  /** Describes the problem, for people. */
  readonly description: string;
  /** The kind of mistake, UPPER_SNAKE_CASE, at most 63 characters. */
  readonly reason?: string;
}

/** Most details kept of one status; those behind are dropped. */
const maxDetails = 128;

/** Range of `google.protobuf.Duration.seconds`. */
const maxDurationSeconds = 315_576_000_000n;

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The `google.rpc.Status` in `bytes`, undefined where they are not one. Never throws. */
export function decodeStatus(bytes: Uint8Array): RpcStatus | undefined {
  let code = 0;
  let message = "";
  const details: AnyValue[] = [];
  const wellFormed = readFields(bytes, (number, value) => {
    if (typeof value === "bigint") {
      if (number === 1) code = Number(BigInt.asIntN(32, value));
      return true;
    }
    if (number === 2) message = utf8Decoder.decode(value);
    if (number !== 3) return true;
    const detail = decodeAny(value);
    if (detail !== undefined && details.length < maxDetails) details.push(detail);
    return detail !== undefined;
  });
  return wellFormed ? { code, message, details } : undefined;
}

/** True where the Any holds the message of that full name; the host part of its URL does not matter. */
export function holds(detail: AnyValue, fullName: string): boolean {
  return detail.typeUrl.slice(detail.typeUrl.lastIndexOf("/") + 1) === fullName;
}

/** `reason` of a serialized `google.rpc.ErrorInfo`; undefined where it is empty or the bytes are malformed. */
export function decodeErrorReason(bytes: Uint8Array): string | undefined {
  let reason = "";
  const wellFormed = readFields(bytes, (number, value) => {
    if (number === 1 && typeof value !== "bigint") reason = utf8Decoder.decode(value);
    return true;
  });
  return wellFormed && reason !== "" ? reason : undefined;
}

/**
 * `retry_delay` of a serialized `google.rpc.RetryInfo` in whole seconds, rounded up.
 * Undefined where it is absent, negative, out of range or the bytes are malformed.
 */
export function decodeRetryDelay(bytes: Uint8Array): number | undefined {
  let present = false;
  let seconds = 0n;
  let nanos = 0n;
  const wellFormed = readFields(bytes, (number, value) => {
    if (number !== 1 || typeof value === "bigint") return true;
    present = true;
    return readFields(value, (part, amount) => {
      if (typeof amount !== "bigint") return true;
      if (part === 1) seconds = BigInt.asIntN(64, amount);
      if (part === 2) nanos = BigInt.asIntN(32, amount);
      return true;
    });
  });
  if (!wellFormed || !present) return undefined;
  if (seconds < 0n || seconds > maxDurationSeconds || nanos < 0n || nanos > 999_999_999n) return undefined;
  return Number(seconds) + (nanos > 0n ? 1 : 0);
}

/** A `google.rpc.BadRequest` with one violation a field. */
export function encodeBadRequest(fields: readonly FieldViolation[]): AnyValue {
  const writer = new WireWriter();
  for (const { field, description, reason = "" } of fields) {
    writer.message(1, violation => {
      violation.string(1, field);
      violation.string(2, description);
      if (reason !== "") violation.string(3, reason);
    });
  }
  return { typeUrl: "type.googleapis.com/google.rpc.BadRequest", value: writer.finish() };
}

/** A `google.rpc.ErrorInfo` of the gateway's own. */
export function encodeErrorInfo(reason: string): AnyValue {
  const writer = new WireWriter();
  writer.string(1, reason);
  writer.string(2, "protogate");
  return { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: writer.finish() };
}

export function encodeStatus({ code, message, details }: RpcStatus): Uint8Array {
  const writer = new WireWriter();
  writer.integer(1, code);
  if (message !== "") writer.string(2, message);
  for (const { typeUrl, value } of details) {
    writer.message(3, detail => {
      detail.string(1, typeUrl);
      if (value.length > 0) detail.field(2, value);
    });
  }
  return writer.finish();
}

function decodeAny(bytes: Uint8Array): AnyValue | undefined {
  let typeUrl = "";
  let value: Uint8Array = new Uint8Array(0);
  const wellFormed = readFields(bytes, (number, content) => {
    if (typeof content === "bigint") return true;
    if (number === 1) typeUrl = utf8Decoder.decode(content);
    if (number === 2) value = content;
    return true;
  });
  return wellFormed ? { typeUrl, value } : undefined;
}

/**
 * Visits the varint and length-delimited fields of a message in wire order; fixed-size ones are skipped.
 * False where the bytes are malformed, hold a group (none of these messages has one) or `visit` refused.
 */
export function readFields(
  bytes: Uint8Array,
  visit: (number: number, value: bigint | Uint8Array) => boolean,
): boolean {
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      const { number, wireType } = reader;
      if (wireType === FIXED32 || wireType === FIXED64) reader.skip();
      else if (wireType !== VARINT && wireType !== LENGTH) return false;
      else if (!visit(number, wireType === VARINT ? reader.varint() : reader.delimited())) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
