import { AccessToken, ServerError, type SIPGrant, type VideoGrant } from "livekit-server-sdk";
import { bodyOf } from "../auth/providers/issuer.js";
import { isJsonObject, type JsonObject } from "../codec/json.js";
import type { Cancellation } from "../net/cancellation.js";
import { TimedRequests } from "../net/timed-requests.js";
import { Code } from "../status/code.js";
import { type Failure, GatewayError, gatewayFailure, upstreamFailure } from "../status/failure.js";
import type { LiveKitProject } from "./config.js";

/** Bytes of a response; those about one egress or ingress are a few kilobytes. */
const responseLimit = 1024 * 1024;

/** The grants of the token of a call. */
export interface ServerGrants {
  readonly video?: VideoGrant;
  readonly sip?: SIPGrant;
}

/** A call of LiveKit's server API (Twirp v7 with JSON), where the SDK has no method that takes the message as it is. */
export interface ServerRequest {
  /** Without its package, such as `Egress`. */
  readonly service: string;
  readonly method: string;
  readonly grants: ServerGrants;
  readonly message: JsonObject;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly cancellation: Cancellation;
}

/** @throws GatewayError by rejection where LiveKit cannot be reached or responds with an error */
export function callServer(project: LiveKitProject, request: ServerRequest): Promise<JsonObject> {
  return asGatewayError(post(project, request));
}

async function post(project: LiveKitProject, request: ServerRequest): Promise<JsonObject> {
  const { service, method, grants, message, timeoutMs, cancellation } = request;
  const token = new AccessToken(project.api_key, project.api_secret, { ttl: "1m" });
  token.addGrant({ ...grants.video });
  if (grants.sip !== undefined) token.addSIPGrant({ ...grants.sip });
  const headers = { authorization: `Bearer ${await token.toJwt()}`, "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(message), redirect: "manual" } as const;
  const requests = new TimedRequests();
  cancellation.listen(() => requests.close());
  const { response, body } = await requests.run(timeoutMs, async signal => {
    const response = await fetch(`${apiUrl(project)}/twirp/livekit.${service}/${method}`, {
      ...init,
      signal,
    });
    return { response, body: await bodyOf(response, responseLimit) };
  });
  const json = body === undefined ? undefined : jsonObject(body);
  if (response.status === 200 && json !== undefined) return json;
  const { code, msg } = json ?? {};
  throw new ServerError(
    "ServerError",
    typeof msg === "string" ? msg : "",
    response.status,
    typeof code === "string" ? code : undefined,
  );
}

/** `http…`, without `/` at its end. */
export function apiUrl({ api_url, url }: LiveKitProject): string {
  return (api_url ?? url).replace(/^ws/, "http").replace(/\/+$/, "");
}

function jsonObject(body: Buffer): JsonObject | undefined {
  try {
    const json = JSON.parse(body.toString());
    return isJsonObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** @throws GatewayError by rejection where LiveKit cannot be reached or responds with an error */
export async function asGatewayError<T>(response: Promise<T>): Promise<T> {
  try {
    return await response;
  } catch (error) {
    throw error instanceof GatewayError ? error : new GatewayError(failureOf(error));
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof ServerError) {
    const code = codes.get(error.code ?? "");
    if (code !== undefined) return upstreamFailure(code, error.message.slice(0, 256), undefined);
    const message = `the LiveKit server responded with ${error.status}${error.code === undefined ? "" : ` ${error.code}`}`;
    return gatewayFailure("UPSTREAM_PROTOCOL", `${message}; are address, key and secret right?`);
  }
  if (error instanceof Error && error.name === "TimeoutError")
    return gatewayFailure("UPSTREAM_TIMEOUT", "the LiveKit server did not respond in time");
  if (error instanceof Error && error.name === "AbortError")
    return gatewayFailure("CLIENT_CLOSED", "the client disconnected before LiveKit responded");
  return gatewayFailure("UPSTREAM_UNAVAILABLE", "the LiveKit server could not be reached");
}

/** Twirp's codes that concern the request; the others concern gateway and server. */
const codes: ReadonlyMap<string, number> = new Map([
  ["invalid_argument", Code.INVALID_ARGUMENT],
  ["malformed", Code.INVALID_ARGUMENT],
  ["not_found", Code.NOT_FOUND],
  ["already_exists", Code.ALREADY_EXISTS],
  ["resource_exhausted", Code.RESOURCE_EXHAUSTED],
  ["failed_precondition", Code.FAILED_PRECONDITION],
  ["unimplemented", Code.UNIMPLEMENTED],
  ["unavailable", Code.UNAVAILABLE],
]);
