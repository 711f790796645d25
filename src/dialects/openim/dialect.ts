import { holds, readFields } from "../../status/details.js";
import { type Failure, shownCode } from "../../status/failure.js";
import type { Dialect, JsonSchema } from "../dialect.js";
import { openimAccept, openimCallerMetadata } from "./caller.js";
import { businessError, openimCredentialReasons, openimStatus } from "./codes.js";

/** Codes below are not OpenIM's: its backends count from here. */
const minBusinessCode = 100;

/**
 * The envelope of a success.
 * @param json JSON text of the response message; undefined where its type has no fields, and `data` is left out
 */
export function openimSuccess(json: string | undefined): string {
  const data = json === undefined || json === "null" ? "" : `,"data":${json}`;
  return `{"errCode":0,"errMsg":"","errDlt":""${data}}`;
}

const openimFailureSchema: JsonSchema = {
  type: "object",
  properties: {
    errCode: { type: "integer", description: "OpenIM's code; 0 is a success.", not: { const: 0 } },
    errMsg: { type: "string", description: "The name of the code, or what the backend says." },
    errDlt: { type: "string", description: "What is wrong." },
  },
  required: ["errCode", "errMsg", "errDlt"],
};

function openimSuccessSchema(message: JsonSchema | undefined): JsonSchema {
  return {
    type: "object",
    properties: {
      errCode: { type: "integer", const: 0 },
      errMsg: { type: "string" },
      errDlt: { type: "string" },
      ...(message === undefined ? {} : { data: message }),
    },
    required: ["errCode", "errMsg", "errDlt"],
  };
}

/**
 * The envelope of a failure: a business code as the backend sent it, with its message and the detail of its
 * `openim.protobuf.ErrorInfo`; everything else by the code that OpenIM has for it, and for failures of the gateway
 * itself with the code's name as the message and the problem as the detail.
 */
function openimFailure(failure: Failure): string {
  const sent = shownCode(failure);
  const own =
    failure.backendCode === undefined && sent < minBusinessCode ? businessError(failure) : undefined;
  const fromBackend = failure.origin === "upstream";
  const code = own?.code ?? sent;
  const message = fromBackend && failure.message !== "" ? failure.message : (own?.name ?? failure.reason);
  const detail = fromBackend ? errorDetail(failure) : failure.message;
  return `{"errCode":${code},"errMsg":${JSON.stringify(message)},"errDlt":${JSON.stringify(detail)}}`;
}

/** 200 for every outcome but two: the limiter's 429, and 500 where the gateway itself failed. */
function httpStatusOf({ origin, httpStatus, reason }: Failure): number {
  return origin === "gateway" && (httpStatus === 429 || reason === "INTERNAL") ? httpStatus : 200;
}

/** `warp` joined by `->`, then `cause`; empty where the backend sent no `openim.protobuf.ErrorInfo`. */
function errorDetail({ details }: Failure): string {
  const info = details.find(detail => holds(detail, "openim.protobuf.ErrorInfo"));
  if (info === undefined) return "";
  let cause = "";
  const warp: string[] = [];
  const wellFormed = readFields(info.value, (number, value) => {
    if (typeof value === "bigint") return true;
    if (number === 4) cause = utf8Decoder.decode(value);
    if (number === 5) warp.push(utf8Decoder.decode(value));
    return true;
  });
  return wellFormed ? warp.join("->") + cause : "";
}

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** OpenIM's envelope, headers, metadata and business codes (https://github.com/openimsdk). */
export const openimDialect: Dialect = {
  name: "openim",
  failureSchema: openimFailureSchema,
  successSchema: openimSuccessSchema,
  renderFailure: failure => ({
    status: httpStatusOf(failure),
    contentType: "application/json",
    body: openimFailure(failure),
  }),
  renderSuccess: openimSuccess,
  accept: openimAccept,
  callerMetadata: openimCallerMetadata,
  statusOfCode: openimStatus,
  credentialReasons: openimCredentialReasons,
  wrappers: ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map(
    kind => `openim.protobuf.${kind}Value`,
  ),
};
