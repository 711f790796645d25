import { authNames } from "../auth/config.js";
import type { Identity } from "../auth/identity.js";
import type { LocalHandler, LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import { requireJsonBody } from "../bindings/json-body.js";
import type { Path } from "../config/diagnostic.js";
import { dialects } from "../dialects/dialects.js";
import type { Template } from "../routing/template.js";
import { TemplateError } from "../routing/template.js";
import { parseTemplate } from "../routing/template-parser.js";
import { GatewayError, gatewayError } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import { type Authorize, compileAuthorize } from "./authorize.js";
import type { LiveKitRouteConfig } from "./config.js";
import { type InputNames, readInput, type TokenInput } from "./input.js";
import type { TokenResult } from "./metrics.js";
import type { LiveKitParts } from "./parts.js";
import type { Removals } from "./removals.js";
import { namesFrom, type TokenSource } from "./source.js";

/** Bytes of a request body; texts are bounded by far less. */
const bodyLimit = 16 * 1024;

/** The keys of a route that restrict its use. */
type AdmissionConfig = Pick<LiveKitRouteConfig, "allow_other_identities" | "authorize" | "project">;

/** Decides whether a caller may act for an identity in a room, for tokens as for objects that routes start. */
export interface RouteAdmission {
  /** @throws GatewayError where the request names something that the route does not read */
  read(request: LocalRequest): TokenInput;
  /** @throws GatewayError IDENTITY_MISMATCH, PARTICIPANT_REMOVED, or the refusal of the authorizing backend */
  admit(room: string, identity: string, input: TokenInput, request: LocalRequest): Promise<void>;
}

/**
 * @param identity where the identity comes from
 * @param sources all that the route reads
 */
export function compileAdmission(
  route: AdmissionConfig,
  identity: TokenSource,
  sources: readonly TokenSource[],
  at: Path,
  parts: LiveKitParts,
): RouteAdmission {
  const names: InputNames = { body: namesFrom("body", sources), query: namesFrom("query", sources) };
  const mayActForOthers = actsForOthers(route.allow_other_identities);
  const authorize: Authorize | undefined =
    route.authorize === undefined
      ? undefined
      : compileAuthorize(route.authorize, [...at, "authorize"], parts);
  const { removals } = parts.deps;
  return {
    read(request) {
      requireJsonBody(request);
      return readInput(request, names);
    },
    async admit(room, name, input, request) {
      if (!mayActForOthers(request.identity)) requireOwnIdentity(identity, name, input);
      if (authorize !== undefined) await authorize(room, name, request);
      refuseRemoved(removals, route.project, room, name);
    },
  };
}

/** The parts that both kinds of endpoints have in common. */
export function endpointOf(
  route: Pick<LiveKitRouteConfig, "auth" | "rate_limit" | "errors">,
  method: string,
  template: string,
  at: Path,
): Omit<LocalHandler, "handle" | "operation"> {
  return {
    method: method.toUpperCase(),
    template,
    at,
    service: "livekit",
    auth: route.auth === undefined ? undefined : authNames(route.auth),
    rateLimit: route.rate_limit,
    dialect: dialects[route.errors],
    bodyLimit,
  };
}

/** A success: tokens and stream keys are for the caller alone. */
export function successOf(json: object): LocalResponse {
  const headers: LocalResponse["headers"] = [
    ["content-type", "application/json"],
    ["cache-control", "no-store"],
  ];
  return { status: 200, headers, body: JSON.stringify(json) };
}

/** Undefined where the text breaks the grammar, which is reported where all routes are put together. */
export function readTemplate(text: string): Template | undefined {
  try {
    return parseTemplate(text);
  } catch (error) {
    if (error instanceof TemplateError) return undefined;
    throw error;
  }
}

/** Warns of variables of the template that none of the sources reads. */
export function warnOfUnread(
  template: Template | undefined,
  sources: readonly TokenSource[],
  at: Path,
  { problems }: LiveKitParts,
): void {
  const read = namesFrom("path", sources);
  for (const variable of template?.variables ?? []) {
    const name = variable.path.join(".");
    if (!read.has(name)) problems.warning(at, `nothing reads the variable {${name}}`);
  }
}

/** @throws GatewayError PARTICIPANT_REMOVED */
function refuseRemoved(
  removals: Removals,
  project: string | undefined,
  room: string,
  identity: string,
): void {
  const retryAfter = removals.secondsLeft(project, room, identity);
  if (retryAfter === 0) return;
  const message = "the identity was removed from the room and gets no token for it at present";
  throw gatewayError("PARTICIPANT_REMOVED", message, [], { retryAfter });
}

/**
 * An identity from the subject or a claim is the caller's own by authentication; any other must be the subject.
 * @throws GatewayError IDENTITY_MISMATCH
 */
function requireOwnIdentity(source: TokenSource, identity: string, { identity: caller }: TokenInput): void {
  if (source.kind === "subject" || source.kind === "claim") return;
  if (caller !== undefined && identity === caller.subject) return;
  const message = `${source.field}: must be the caller's own; this route does not act for others`;
  throw gatewayError("IDENTITY_MISMATCH", message);
}

function actsForOthers(
  allowed: AdmissionConfig["allow_other_identities"],
): (caller: Identity | undefined) => boolean {
  if (typeof allowed === "boolean") return () => allowed;
  return caller => caller !== undefined && allowed.scopes.every(scope => caller.scopes.has(scope));
}

/** Serves requests and counts each, a success as `done`. */
export function counted<R extends string>(
  serve: LocalHandler["handle"],
  done: R,
  count: (result: R | Exclude<TokenResult, "issued">) => void,
): LocalHandler["handle"] {
  return async request => {
    try {
      const response = await serve(request);
      count(done);
      return response;
    } catch (error) {
      count(resultOf(error));
      throw error;
    }
  };
}

const refusals: ReadonlySet<string> = new Set<Reason>(["IDENTITY_MISMATCH", "PARTICIPANT_REMOVED"]);

/** How a request that failed is counted. */
function resultOf(error: unknown): Exclude<TokenResult, "issued"> {
  // 499 is a client that did not wait.
  if (!(error instanceof GatewayError) || error.failure.httpStatus >= 499) return "failed";
  return error.failure.origin === "upstream" || refusals.has(error.failure.reason) ? "refused" : "invalid";
}
