import type { RpcBinding } from "../bindings/binding.js";
import { responseFailure } from "../codec/error.js";
import type { ResponseBody } from "../codec/wire-to-json/response.js";
import { isNotModified, responseHeaders, successStatus } from "../protocols/response-metadata.js";
import { type InboundRequest, noBody } from "../server/inbound-request.js";
import { encodeForm, isForm } from "../uploads/forms.js";
import { callFailure } from "../upstream/call/call-failure.js";
import { statusDetail, type UnaryResult } from "../upstream/channel.js";
import { requireValid } from "../validation/validator.js";
import type { HttpResponse, ReadonlyContext } from "./context.js";
import { failureResponse } from "./failure-response.js";

/**
 * What the rules and the policies on fields say of one request message.
 * @throws GatewayError VALIDATION_FAILED, POLICY_DENIED
 */
export function checkMessage(
  { request, guardResult }: ReadonlyContext,
  binding: RpcBinding,
  message: Uint8Array,
): void {
  requireValid(message, binding.validate);
  if (guardResult !== undefined) binding.guard?.check(message, request.path, guardResult);
}

/** @throws TranscodeError */
export function encodeRequest(
  binding: RpcBinding,
  variables: readonly string[],
  request: InboundRequest,
  bytes: Uint8Array,
): Uint8Array {
  const contentType = request.header("content-type") ?? "";
  const { forms, route } = binding;
  if (forms !== undefined && bytes.length > 0 && isForm(contentType, route.request.takesRawBody))
    return encodeForm(route.request, variables, request.query, { contentType, bytes }, forms);
  return binding.route.request.encode(variables, request.query, { contentType, bytes });
}

/** The result of a call, its failures too, as a response over HTTP. */
export function decodeResult(
  context: ReadonlyContext,
  binding: RpcBinding,
  result: UnaryResult,
): HttpResponse | Promise<HttpResponse> {
  const { response, policy } = binding.route;
  const headers = responseHeaders(policy.responseNames, result.headers, result.trailers);
  if (result.message === undefined) {
    const detail = statusDetail(result.status);
    const failure = callFailure(result, policy.statusOf);
    const details =
      failure.details.length === 0 ? undefined : binding.details?.render(failure.details, "json");
    if (details instanceof Promise)
      return details.then(rendered => failureResponse(context, failure, headers, detail, rendered));
    return failureResponse(context, failure, headers, detail, details);
  }
  if (headers.length > 0 && isNotModified(context.request, headers))
    return { status: 304, headers, body: noBody };
  const chosen =
    policy.successStatus === undefined
      ? undefined
      : successStatus(policy.successStatus, [result.trailers, result.headers]);
  const status = chosen ?? (response.empty ? policy.emptyStatus : 200);
  if (withoutContent(status)) return { status, headers, body: noBody };
  try {
    const decoded = response.decodeInTurns(result.message);
    if (!(decoded instanceof Promise)) return success(status, headers, decoded);
    return decoded.then(
      body => success(status, headers, body),
      error => undecodable(context, headers, error),
    );
  } catch (error) {
    return undecodable(context, headers, error);
  }
}

function success(
  status: number,
  headers: HttpResponse["headers"],
  { contentType, body }: ResponseBody,
): HttpResponse {
  headers.unshift(["content-type", contentType]);
  return { status, headers, body };
}

function undecodable(
  context: ReadonlyContext,
  headers: HttpResponse["headers"],
  error: unknown,
): HttpResponse {
  return failureResponse(context, responseFailure(), headers, String(error));
}

/** RFC 9110 §15.3.5, §15.3.6: no content, and nothing that could be taken for it. */
function withoutContent(status: number): boolean {
  return status === 204 || status === 205;
}
