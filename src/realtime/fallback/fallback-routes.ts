import type { Caller } from "../../auth/caller.js";
import type { LocalHandler, LocalRequest, LocalResponse } from "../../bindings/built-in-route.js";
import type { GuardResult } from "../../bindings/guard.js";
import { gatewayError } from "../../status/failure.js";
import type { RealtimeConfig } from "../config.js";
import type { Realtime } from "../realtime.js";
import type { PendingSocket } from "../sockets/admission.js";
import { SocketRequest } from "../sockets/upgrade-request.js";
import type { FallbackSessions } from "./fallback-sessions.js";
import type { SessionRequest } from "./session-relay.js";

export interface FallbackOptions {
  /** Called when requests come. */
  readonly sessions: () => FallbackSessions;
  /** The CORS headers of all responses. */
  readonly cors: NonNullable<LocalHandler["cors"]>;
  /** Those of responses to preflights; undefined where the request is none, or its origin is not allowed. */
  preflight(request: LocalRequest): LocalResponse["headers"] | undefined;
}

/** Bodies with frames may have so many times the bytes of the largest frame, but at least so many bytes. */
const framesABody = 4;
const leastBody = 65_536;
const sessionHeader = "protogate-session";
const framesType = "application/x-ndjson";
const methods = "DELETE, GET, HEAD, OPTIONS, POST";

/** The request headers that a page needs for all of this. */
export const fallbackRequestHeaders = [
  "authorization",
  "content-type",
  "protogate-number",
  "protogate-pongs",
  "protogate-received",
  "protogate-session",
  "x-request-id",
] as const;

/**
 * The routes of sessions without a WebSocket, at the path of the sockets.
 * @param socketPath the route of requests for nothing that is served there: it refuses them
 */
export function fallbackEndpoints(
  socketPath: LocalHandler & Required<Pick<LocalHandler, "guard">>,
  { limits, transports }: RealtimeConfig,
  { sessions, cors, preflight }: FallbackOptions,
): readonly LocalHandler[] {
  const realtime = (): Realtime => sessions().realtime;
  const [streams, polls] = [transports.includes("sse"), transports.includes("poll")];
  const endpoint = (
    method: string,
    check: (caller: Caller, result: GuardResult) => void | Promise<void>,
    handle: LocalHandler["handle"],
  ): LocalHandler => ({
    ...socketPath,
    method,
    // All that needs no body is decided before one is read.
    guard: {
      admit: (caller, path, result) =>
        path === socketPath.template ? check(caller, result) : socketPath.guard.admit(caller, path, result),
    },
    bodyLimit: Math.max(leastBody, framesABody * limits.message),
    cors,
    handle,
  });
  const ofSession = (caller: Caller): void => {
    requirePage(realtime(), caller);
    sessions().requireKnown(secretOf(caller));
  };
  const isPoll = (caller: Caller): boolean =>
    polls && caller.method === "GET" && caller.header(sessionHeader) !== undefined;
  const opensPoll = (caller: Caller): boolean => polls && caller.header(sessionHeader) === undefined;
  return [
    endpoint(
      "GET",
      (caller, result) => {
        if (isPoll(caller)) ofSession(caller);
        else if (!streams || !acceptsEvents(caller))
          return socketPath.guard.admit(caller, socketPath.template, result);
      },
      request => (isPoll(request) ? poll(sessions(), request) : openStream(sessions(), request)),
    ),
    endpoint(
      "POST",
      caller => {
        if (!opensPoll(caller)) ofSession(caller);
      },
      request => (opensPoll(request) ? openPoll(sessions(), request) : receive(sessions(), request)),
    ),
    endpoint("DELETE", ofSession, request => leave(sessions(), request)),
    endpoint(
      "OPTIONS",
      () => undefined,
      request => empty(preflight(request) ?? [["allow", methods]]),
    ),
  ];
}

function acceptsEvents(caller: Caller): boolean {
  return (
    caller.method === "GET" && /(^|,)\s*text\/event-stream\s*(;|,|$)/i.test(caller.header("accept") ?? "")
  );
}

async function openStream(sessions: FallbackSessions, request: LocalRequest): Promise<LocalResponse> {
  const { cancellation } = request;
  const connection = await sessions.openStream(pendingSocketOf(sessions.realtime, request), pongsOf(request));
  cancellation.listen(() => connection.disconnected());
  return {
    status: 200,
    headers: [
      ["content-type", "text/event-stream"],
      // What a proxy compresses or keeps back arrives late.
      ["cache-control", "no-store, no-transform"],
      ["x-accel-buffering", "no"],
    ],
    body: (writer, abandon) => connection.start(writer, abandon),
  };
}

async function openPoll(sessions: FallbackSessions, request: LocalRequest): Promise<LocalResponse> {
  if (request.body.length > 0)
    throw gatewayError("UNEXPECTED_BODY", `expected no body, or ${sessionHeader} where frames are sent`);
  const { secret } = await sessions.openPoll(pendingSocketOf(sessions.realtime, request));
  return json(`{"session":"${secret}"}`);
}

async function poll(sessions: FallbackSessions, request: LocalRequest): Promise<LocalResponse> {
  const received = countOf(request, "protogate-received", 0);
  return { ...json(await respond(sessions, request, "poll", received)), waited: true };
}

async function receive(sessions: FallbackSessions, request: LocalRequest): Promise<LocalResponse> {
  const type = request.header("content-type");
  if (type?.split(";", 1)[0]?.trim().toLowerCase() !== framesType)
    throw gatewayError("UNSUPPORTED_MEDIA_TYPE", `expected content-type ${framesType}`);
  await respond(sessions, request, "receive", countOf(request, "protogate-number", 1));
  return empty([]);
}

async function leave(sessions: FallbackSessions, request: LocalRequest): Promise<LocalResponse> {
  await respond(sessions, request, "leave", 0);
  return empty([]);
}

function respond(
  sessions: FallbackSessions,
  request: LocalRequest,
  action: SessionRequest["action"],
  number: number,
): string | Promise<string> {
  const { body, cancellation } = request;
  return sessions.respond({ action, secret: secretOf(request), number, body }, cancellation);
}

/** @throws GatewayError MISSING_HEADER */
function secretOf(caller: Caller): string {
  const secret = caller.header(sessionHeader);
  if (secret !== undefined) return secret;
  throw gatewayError("MISSING_HEADER", `expected ${sessionHeader}, which the opening of a session returns`);
}

/** @throws GatewayError MISSING_HEADER, INVALID_HEADER */
function countOf(caller: Caller, name: string, least: number): number {
  const text = caller.header(name);
  if (text === undefined) throw gatewayError("MISSING_HEADER", `expected ${name}`);
  const value = Number(text);
  if (/^[0-9]{1,15}$/.test(text) && value >= least) return value;
  throw gatewayError("INVALID_HEADER", `${name}: expected an integer from ${least}`);
}

/** Whether the client responds to pings. @throws GatewayError INVALID_HEADER */
function pongsOf(caller: Caller): boolean {
  const text = caller.header("protogate-pongs");
  if (text === undefined || text === "true") return text !== undefined;
  throw gatewayError("INVALID_HEADER", "protogate-pongs: expected true, or no such header");
}

function pendingSocketOf(realtime: Realtime, request: LocalRequest): PendingSocket {
  const { path, requestId, span, guardResult, cancellation } = request;
  return {
    request: new SocketRequest(request, realtime.settings.origins, span),
    path,
    requestId,
    guardResult: guardResult as GuardResult,
    span,
    clientClosed: () => cancellation.cancelled,
    requireForm: () => requireNamedPage(request),
  };
}

/**
 * Whether a page may use sessions: of an origin whose pages may open a WebSocket.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
function requirePage({ settings }: Realtime, caller: Caller): void {
  settings.origins.requireForSocket(caller);
  requireNamedPage(caller);
}

/** Browsers leave Origin out of a GET whose response the page cannot read; such a page opens nothing. */
function requireNamedPage(caller: Caller): void {
  const site = caller.header("sec-fetch-site");
  if (
    caller.header("origin") !== undefined ||
    site === undefined ||
    site === "same-origin" ||
    site === "none"
  )
    return;
  throw gatewayError("ORIGIN_NOT_ALLOWED", "a page of another site must be named by an origin header");
}

function empty(headers: LocalResponse["headers"]): LocalResponse {
  return { status: 204, headers, body: "" };
}

function json(body: string): LocalResponse {
  const headers = [
    ["content-type", "application/json"],
    ["cache-control", "no-store"],
  ] as const;
  return { status: 200, headers, body };
}
