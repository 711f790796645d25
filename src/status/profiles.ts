import { STATUS_CODES } from "node:http";
import { Code, codeName, codeOfStatus } from "./code.js";
import { holds } from "./details.js";
import type { Failure } from "./failure.js";
import { openimFailure, openimStatus } from "./openim.js";

/** The shape of an error body. */
export type ErrorProfile = "status" | "google" | "problem" | "openim" | "chat-api";

export interface FailureContext {
  readonly requestId: string;
  /** Raw path of the request, without the query. */
  readonly path: string;
}

/** An error reply, headers aside. */
export interface RenderedFailure {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/**
 * The error reply of a profile.
 * @param detailsJson each detail of the failure as the JSON text of an Any, in the same order; spliced in as it is
 */
export function renderFailure(
  profile: ErrorProfile,
  failure: Failure,
  detailsJson: readonly string[],
  context: FailureContext,
): RenderedFailure {
  return {
    status: profile === "openim" ? openimStatus(failure) : failure.httpStatus,
    contentType: profile === "problem" ? "application/problem+json" : "application/json",
    body: renderers[profile](failure, detailsJson, context),
  };
}

type Renderer = (failure: Failure, detailsJson: readonly string[], context: FailureContext) => string;

const renderers: Readonly<Record<ErrorProfile, Renderer>> = {
  status: renderStatus,
  google: renderGoogle,
  problem: renderProblem,
  openim: openimFailure,
  "chat-api": renderChatApi,
};

/** Design section 5. */
function renderStatus(failure: Failure, detailsJson: readonly string[]): string {
  const { code, reason, message } = failure;
  return `{"code":${code},"reason":${quote(reason)},"message":${quote(message)},"details":[${detailsJson.join(",")}]}`;
}

/** AIP-193, HTTP/1.1+JSON representation. */
function renderGoogle(failure: Failure, detailsJson: readonly string[]): string {
  const { httpStatus, code, message } = failure;
  const status = codeName(code <= Code.UNAUTHENTICATED ? code : codeOfStatus(httpStatus));
  const details = needsErrorInfo(failure) ? [errorInfo(failure), ...detailsJson] : detailsJson;
  return `{"error":{"code":${httpStatus},"message":${quote(message)},"status":"${status}","details":[${details.join(",")}]}}`;
}

/** AIP-193 asks for an ErrorInfo in every error; the gateway speaks for itself only, not for a backend. */
function needsErrorInfo(failure: Failure): boolean {
  return (
    failure.origin === "gateway" && !failure.details.some(detail => holds(detail, "google.rpc.ErrorInfo"))
  );
}

function errorInfo(failure: Failure): string {
  return `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":${quote(failure.reason)},"domain":"protogate"}`;
}

/**
 * RFC 9457. The type is `about:blank`, so that the title is the phrase of the HTTP status (section 4.2.1); what is
 * particular is in the extension members.
 */
function renderProblem(failure: Failure, detailsJson: readonly string[], context: FailureContext): string {
  const { httpStatus, code, reason, message } = failure;
  const detail = message === "" ? "" : `"detail":${quote(message)},`;
  return (
    `{"type":"about:blank","title":${quote(phrase(httpStatus))},"status":${httpStatus},${detail}` +
    `"instance":${quote(uriReference(context.path))},"code":${code},"reason":${quote(reason)},` +
    `"details":[${detailsJson.join(",")}],"request_id":${quote(context.requestId)}}`
  );
}

function renderChatApi(failure: Failure): string {
  return `{"error":${quote(failure.message === "" ? phrase(failure.httpStatus) : failure.message)}}`;
}

function phrase(status: number): string {
  return status === 499 ? "Client Closed Request" : (STATUS_CODES[status] ?? "Unknown Error");
}

/** The path as a URI reference (RFC 3986 section 4.2): nothing unescaped, and never read as `//host`. */
function uriReference(path: string): string {
  const escaped = path
    .replace(/[\ud800-\udfff]/gu, "\ufffd")
    .replace(/%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu, encodeURIComponent);
  return escaped.startsWith("//") ? `/.${escaped}` : escaped;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
