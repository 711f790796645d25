import type { RpcBinding } from "../bindings/binding.js";
import { responseFailure } from "../codec/error.js";
import { responseHeaders } from "../protocols/response-metadata.js";
import { wholeResponse } from "../protocols/rest/rest-formats.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { encodeForm, isForm } from "../uploads/forms.js";
import { callFailure } from "../upstream/call/call-failure.js";
import { statusDetail, type UnaryResult } from "../upstream/channel.js";
import { requireValid } from "../validation/validator.js";
import type { HttpResponse, ReadonlyContext } from "./context.js";
import { failureResponse } from "./failure-response.js";

/**
 * Checks one request message by the rules and the policies on fields.
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

/** A promise where the body is large. @throws TranscodeError, or rejects with it */
export function encodeRequest(
  binding: RpcBinding,
  variables: readonly string[],
  request: InboundRequest,
  bytes: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const contentType = request.header("content-type") ?? "";
  const { forms, route } = binding;
  if (forms !== undefined && bytes.length > 0 && isForm(contentType, route.request.takesRawBody))
    return encodeForm(route.request, variables, request.query, { contentType, bytes }, forms);
  return binding.route.request.encodeInTurns(variables, request.query, { contentType, bytes });
}

/** The result of a call, its failures too, as a response over HTTP. */
export function decodeResult(
  context: ReadonlyContext,
  binding: RpcBinding,
  result: UnaryResult,
): HttpResponse | Promise<HttpResponse> {
  const { policy } = binding.route;
  const { message } = result;
  if (message !== undefined) {
    try {
      const whole = wholeResponse(binding, context.request, message, result);
      if (!(whole instanceof Promise)) return whole;
      return whole.catch(error => undecodable(context, binding, result, error));
    } catch (error) {
      return undecodable(context, binding, result, error);
    }
  }
  const headers = passedHeaders(binding, result);
  const detail = statusDetail(result.status);
  const failure = callFailure(result, policy.statusOf);
  const details = failure.details.length === 0 ? undefined : binding.details?.render(failure.details, "json");
  if (details instanceof Promise)
    return details.then(rendered => failureResponse(context, failure, headers, detail, rendered));
  return failureResponse(context, failure, headers, detail, details);
}

function undecodable(
  context: ReadonlyContext,
  binding: RpcBinding,
  result: UnaryResult,
  error: unknown,
): HttpResponse {
  return failureResponse(context, responseFailure(), passedHeaders(binding, result), String(error));
}

function passedHeaders(
  { route: { policy } }: RpcBinding,
  { headers, trailers }: UnaryResult,
): [string, string][] {
  return responseHeaders(policy.responseNames, headers, trailers);
}
