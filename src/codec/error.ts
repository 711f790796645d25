import { type Failure, gatewayFailure } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
/** Why JSON or a message could not be transcoded. */
export type TranscodeReason =
  /** The bytes are not JSON text in UTF-8 (RFC 8259). */
  | "MALFORMED_JSON"
  /** An object names one member twice, or one field by both of its names. */
  | "DUPLICATE_KEY"
  /** More levels of nesting than the policy allows. */
  | "TOO_DEEP"
  /** More units of work than one request may take (`work.ts`). */
  | "TOO_COMPLEX"
  /** The JSON value does not fit the field's type. */
  | "INVALID_VALUE"
  /** The message type has no field of that name. */
  | "UNKNOWN_FIELD"
  /** Two members of one oneof are set. */
  | "ONEOF_CONFLICT"
  /** The bytes are not a message of the type, or hold a value that ProtoJSON cannot express. */
  | "MALFORMED_MESSAGE"
  /** The query is not percent-encoded UTF-8, or has too many parameters. */
  | "MALFORMED_QUERY"
  /** A query parameter names no field that text can set. */
  | "UNKNOWN_PARAMETER"
  /** A query parameter comes twice for a field that holds one value. */
  | "REPEATED_PARAMETER"
  /** Path, query and body give one field different values. */
  | "FIELD_COLLISION"
  /** The route takes no body, and there is one. */
  | "UNEXPECTED_BODY";

/** A position in JSON text, line and column from 1. */
export interface JsonPosition {
  readonly line: number;
  readonly column: number;
}

const noPosition: JsonPosition = { line: 0, column: 0 };

/** Most characters of foreign text that an error repeats. */
const maxExcerptChars = 64;
const maxPathChars = 256;

/**
 * JSON or wire bytes that cannot be transcoded. `message` says what was found and what was expected, without the
 * field. It repeats at most 64 characters of the input.
 */
export class TranscodeError extends Error {
  override readonly name = "TranscodeError";
  #field: string;

  /**
   * @param field path of the value at fault, empty for the root
   * @param suggestion the nearest valid field or enum value name, where a name was unknown
   * @param position where in the JSON text; 0:0 where the error is not one of syntax
   */
  constructor(
    readonly reason: TranscodeReason,
    field: string,
    message: string,
    readonly suggestion: string | undefined = undefined,
    readonly position: JsonPosition = noPosition,
  ) {
    super(message);
    this.#field = field;
  }

  /** Path of the value at fault, such as `labels["a b"]`; empty for the root. */
  get field(): string {
    return this.#field;
  }

  /** Puts a field name, `[index]` or `["key"]` before the path; used while the error rises through the message. */
  within(segment: string): this {
    if (segment === "" || this.#field.length > maxPathChars) return this;
    const joint = this.#field === "" || this.#field.startsWith("[") ? "" : ".";
    this.#field = segment + joint + this.#field;
    return this;
  }
}

/** At most 64 characters of untrusted text. */
export function excerpt(text: string, length = maxExcerptChars): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

/** The path segment of a map key, `["a b"]`. */
export function keySegment(key: string): string {
  return `[${JSON.stringify(excerpt(key, 24))}]`;
}

/** The gateway's reasons for those of ours that are named otherwise. */
const reasonsOfGateway: Partial<Record<TranscodeReason, Reason>> = {
  MALFORMED_MESSAGE: "INVALID_VALUE",
  TOO_COMPLEX: "BODY_TOO_LARGE",
};

/** A request that could not be turned into a message; names the field in the message and as a typed violation. */
export function requestFailure(error: TranscodeError): Failure {
  const hint = error.suggestion === undefined ? "" : `; did you mean "${error.suggestion}"?`;
  const text = `${error.message}${hint}`;
  const reason = reasonsOfGateway[error.reason] ?? (error.reason as Reason);
  if (error.field === "") return gatewayFailure(reason, text);
  return gatewayFailure(reason, `${error.field}: ${text}`, [{ field: error.field, description: text }]);
}

/** A response that is not the message its method declares. The detail is for the log, not for the client. */
export function responseFailure(): Failure {
  return gatewayFailure(
    "UPSTREAM_MALFORMED_MESSAGE",
    "the upstream's response is not the message that its method declares",
  );
}
