import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { parse } from "protobufjs";
import { Code } from "../status/code.js";
import type { AnyValue } from "../status/failure.js";

/** One thing that is wrong with one field of a request (`google.rpc.BadRequest.FieldViolation`). */
export interface InvalidField {
  /** Proto path of the field, `article.title`. */
  readonly field: string;
  readonly description: string;
}

/** A call failed as its contract says: thrown by handlers, sent to the client with its details. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  constructor(
    readonly code: number,
    message: string,
    readonly details: readonly AnyValue[] = [],
  ) {
    super(message);
  }
}

/**
 * A failure that programs recognize by its reason.
 *
 * @param reason UPPER_SNAKE, unique in the domain
 * @param metadata the subject of the failure, `{ login: "jdoe" }`
 */
export function failure(
  code: number,
  reason: string,
  domain: string,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): RpcError {
  return new RpcError(code, message, [detail("ErrorInfo", { reason, domain, metadata })]);
}

/** INVALID_ARGUMENT with all violations as its detail. */
export function badRequest(fieldViolations: readonly InvalidField[]): RpcError {
  const message = fieldViolations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  return new RpcError(Code.INVALID_ARGUMENT, message, [detail("BadRequest", { fieldViolations })]);
}

/** The error as gRPC sends it: code, message and, as `grpc-status-details-bin`, a `google.rpc.Status`. */
export function statusOf(error: RpcError): Pick<StatusObject, "code" | "details" | "metadata"> {
  const { code, message } = error;
  const metadata = new Metadata();
  if (error.details.length > 0) {
    const status = encode("Status", { code, message, details: error.details });
    metadata.set("grpc-status-details-bin", status);
  }
  return { code, details: message, metadata };
}

/** The messages of google/rpc/status.proto and google/rpc/error_details.proto that the demo sends. */
const { root: messages } = parse(`
  syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
  message FieldViolation { string field = 1; string description = 2; }
`);

function detail(type: "ErrorInfo" | "BadRequest", value: object): AnyValue {
  return { typeUrl: `type.googleapis.com/google.rpc.${type}`, value: encode(type, value) };
}

function encode(type: string, value: object): Buffer {
  const message = messages.lookupType(type);
  return Buffer.from(message.encode(message.fromObject(value)).finish());
}
