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
import { tokenRouteMethods } from "./config.js";
import { type InputNames, readInput, type TokenInput } from "./input.js";
import type { TokenResult } from "./metrics.js";
import { tokenOperation } from "./operations.js";
import type { LiveKitParts } from "./parts.js";
import type { Removals } from "./removals.js";
import { namesFrom, type TokenSource } from "./source.js";
import { compileSources, everySource, readSubject, type TokenSources } from "./subject.js";
import { type SignToken, type TokenSubject, tokenSigner } from "./token.js";

/** Bytes of a request body; texts are bounded by far less. */
const bodyLimit = 16 * 1024;

interface TokenRoute {
  readonly sources: TokenSources;
  readonly names: InputNames;
  /** Whether this caller may ask for any identity. */
  mayActForOthers(caller: Identity | undefined): boolean;
  readonly authorize: Authorize | undefined;
  readonly removals: Removals;
  readonly sign: SignToken;
  answer(jwt: string): LocalResponse;
}

/** The endpoint of `livekit.routes[index]`. What is wrong with it goes to the problems. */
export function tokenEndpoint(route: LiveKitRouteConfig, index: number, parts: LiveKitParts): LocalHandler {
  const { livekit, deps, problems } = parts;
  const at: Path = ["livekit", "routes", index];
  const key = tokenRouteMethods.find(each => route[each] !== undefined) ?? "post";
  const text = route[key] ?? "/";
  const template = readTemplate(text);
  const sources = compileSources(route, template, at, parts);
  const all = everySource(sources);
  warnOfUnread(template, namesFrom("path", all), [...at, key], parts);
  const compiled: TokenRoute = {
    sources,
    names: { body: namesFrom("body", all), query: namesFrom("query", all) },
    mayActForOthers: mayActForOthers(route.allow_other_identities),
    authorize:
      route.authorize === undefined
        ? undefined
        : compileAuthorize(route.authorize, [...at, "authorize"], parts),
    removals: deps.removals,
    sign: tokenSigner(livekit, route, deps.removals),
    answer: jwt => ({
      status: 200,
      headers: [
        ["content-type", "application/json"],
        ["cache-control", "no-store"],
      ],
      body: JSON.stringify({ [route.response.url]: livekit.url, [route.response.jwt]: jwt }),
    }),
  };
  if (livekit.grants[route.grant]?.roomJoin !== true) {
    problems.warning(
      [...at, "grant"],
      `the grant "${route.grant}" has no roomJoin; its tokens cannot join the room`,
    );
  }
  return {
    method: key.toUpperCase(),
    template: text,
    at,
    service: "livekit",
    auth: route.auth === undefined ? undefined : authNames(route.auth),
    rateLimit: route.rate_limit,
    dialect: dialects[route.errors],
    bodyLimit,
    operation: tokenOperation(key, text, route, sources),
    async handle(request) {
      try {
        const answer = await answerToken(compiled, request);
        deps.metrics.token(route.grant, "issued");
        return answer;
      } catch (error) {
        deps.metrics.token(route.grant, resultOf(error));
        throw error;
      }
    },
  };
}

/** Undefined where the text breaks the grammar, which is reported where all routes are put together. */
function readTemplate(text: string): Template | undefined {
  try {
    return parseTemplate(text);
  } catch (error) {
    if (error instanceof TemplateError) return undefined;
    throw error;
  }
}

function warnOfUnread(
  template: Template | undefined,
  read: ReadonlySet<string>,
  at: Path,
  { problems }: LiveKitParts,
): void {
  for (const variable of template?.variables ?? []) {
    const name = variable.path.join(".");
    if (!read.has(name)) problems.warning(at, `the variable {${name}} is read by nothing`);
  }
}

async function answerToken(route: TokenRoute, request: LocalRequest): Promise<LocalResponse> {
  requireJsonBody(request);
  const input = readInput(request, route.names);
  const subject = readSubject(route.sources, input);
  if (!route.mayActForOthers(request.identity)) {
    requireOwnIdentity(route.sources.identity, subject.identity, input);
  }
  if (route.authorize !== undefined) await route.authorize(subject.room, subject.identity, request);
  refuseRemoved(route.removals, subject);
  return route.answer(await route.sign(subject));
}

/** @throws GatewayError PARTICIPANT_REMOVED */
function refuseRemoved(removals: Removals, { room, identity }: TokenSubject): void {
  const retryAfter = removals.secondsLeft(room, identity);
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
  const message = `${source.field}: must be the caller's own; this route gives out no tokens for others`;
  throw gatewayError("IDENTITY_MISMATCH", message);
}

function mayActForOthers(
  allowed: LiveKitRouteConfig["allow_other_identities"],
): (caller: Identity | undefined) => boolean {
  if (typeof allowed === "boolean") return () => allowed;
  return caller => caller !== undefined && allowed.scopes.every(scope => caller.scopes.has(scope));
}

const refusals: ReadonlySet<string> = new Set<Reason>(["IDENTITY_MISMATCH", "PARTICIPANT_REMOVED"]);

function resultOf(error: unknown): TokenResult {
  // 499 is a client that did not wait.
  if (!(error instanceof GatewayError) || error.failure.httpStatus >= 499) return "failed";
  return error.failure.origin === "upstream" || refusals.has(error.failure.reason) ? "refused" : "invalid";
}
