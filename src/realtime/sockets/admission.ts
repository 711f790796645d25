import { requireHost } from "../../auth/request-origins.js";
import type { GuardResult } from "../../bindings/guard.js";
import type { Permit } from "../../limits/concurrency.js";
import { whenReady } from "../../net/when-ready.js";
import { type Failure, GatewayError, gatewayError } from "../../status/failure.js";
import type { Span } from "../../telemetry/tracing/span.js";
import type { UpgradeResult } from "../metrics.js";
import type { Realtime } from "../realtime.js";
import { newSession } from "../rooms/local-hub.js";
import { Socket } from "../rooms/socket.js";
import type { SocketRequest } from "./upgrade-request.js";

/** A request for a socket, by any transport, until it is decided. */
export interface PendingSocket {
  readonly request: SocketRequest;
  /** Raw. */
  readonly path: string;
  readonly requestId: string;
  /** The outcome of limits and providers; the socket takes over the permits that it holds. */
  readonly guardResult: GuardResult;
  /** Undefined where the trace is not recorded. */
  readonly span: Span | undefined;
  /** The client has left, so that no limit, provider or backend need be called any more. */
  readonly clientClosed: () => boolean;
  /** @throws GatewayError where the request has not the form that its transport requires */
  requireForm(): void;
}

/**
 * Decides on a request for a socket, of any listener: first the checks independent of the
 * caller, then authentication, then backends. Synchronous where they are. `opened` or `abandoned` is to be called with
 * the socket.
 * @throws GatewayError (or rejects with it); it has been counted, and gives everything back
 */
export function admitSocket(realtime: Realtime, pending: PendingSocket): Socket | Promise<Socket> {
  try {
    check(realtime, pending);
    const permit = realtime.permits.acquire();
    const socket =
      permit instanceof Promise
        ? permit.then(acquired => admit(realtime, pending, acquired))
        : admit(realtime, pending, permit);
    if (!(socket instanceof Promise)) return socket;
    return socket.catch((error: unknown) => {
      throw refused(realtime, pending, error);
    });
  } catch (error) {
    throw refused(realtime, pending, error);
  }
}

/** The socket is open. */
export function opened(realtime: Realtime): void {
  realtime.metrics.upgrade("accepted");
}

/** The client has gone before its socket could be opened. */
export function abandoned(realtime: Realtime, socket: Socket): void {
  realtime.metrics.upgrade("aborted");
  for (const release of socket.releases) release();
  socket.close();
  const { bridge } = realtime.settings;
  if (bridge === undefined) return;
  void bridge.event("disconnect", socket, { type: "disconnect", from: socket.subject, code: 1006 });
}

/** @throws GatewayError for requests that can be refused without knowing the caller */
function check({ settings, draining }: Realtime, pending: PendingSocket): void {
  const { request } = pending;
  if (draining) throw gatewayError("SHUTTING_DOWN", "the gateway is shutting down", [], { retryAfter: 1 });
  requireHost(request.header("host"));
  pending.requireForm();
  settings.origins.requireForSocket(request);
}

/** @param permit undefined: there is none */
function admit(
  realtime: Realtime,
  pending: PendingSocket,
  permit: Permit | undefined,
): Socket | Promise<Socket> {
  if (permit === undefined) {
    const { connections } = realtime.settings.limits;
    throw gatewayError("TOO_MANY_CONNECTIONS", `${connections} WebSockets are open already`, [], {
      retryAfter: 5,
    });
  }
  const { request, path, guardResult } = pending;
  guardResult.releases.push(permit);
  const admitted = realtime.guard.admit(request, path, guardResult);
  return admitted === undefined
    ? connect(realtime, pending)
    : admitted.then(() => connect(realtime, pending));
}

/** Sends the `connect` event to backends, which may refuse the socket. */
function connect(
  { settings, local: sockets, chat, tracer }: Realtime,
  { request, requestId, guardResult, clientClosed, span }: PendingSocket,
): Socket | Promise<Socket> {
  if (clientClosed()) throw gatewayError("CLIENT_CLOSED", "the client has gone");
  const { clientAddress } = request;
  const client = { identity: guardResult.identity, clientAddress, requestId };
  const socket = new Socket(newSession(), client, sockets, settings.limits.burst);
  const admit = (): Socket => {
    socket.releases = guardResult.releases.splice(0);
    return socket;
  };
  if (settings.bridge === undefined) return admit();
  const frame = { type: "connect", from: socket.subject } as const;
  const decided = settings.bridge.event("connect", socket, frame, tracer && (span ?? "unrecorded"));
  return whenReady(decided, outcome => {
    if (!outcome.allow) throw new GatewayError(outcome.failure);
    const { rooms = [] } = outcome.frame;
    if (rooms.length > 0) chat.expect(socket, rooms);
    return admit();
  });
}

/** Counts a refusal. An unexpected error is logged, and its text does not reach the client. */
function refused(
  realtime: Realtime,
  { guardResult, clientClosed }: PendingSocket,
  error: unknown,
): GatewayError {
  let known: GatewayError;
  if (error instanceof GatewayError) known = error;
  else {
    realtime.logger?.error({ err: error }, "an upgrade could not be processed");
    known = gatewayError("INTERNAL", "internal error; see the gateway log");
  }
  for (const release of guardResult.releases.splice(0)) release();
  realtime.metrics.upgrade(clientClosed() ? "aborted" : resultOf(known.failure));
  return known;
}

const results: ReadonlyMap<number, UpgradeResult> = new Map([
  [400, "malformed"],
  [401, "unauthenticated"],
  [403, "forbidden"],
  [426, "malformed"],
  [429, "rate_limited"],
  [503, "unavailable"],
  [504, "unavailable"],
]);

function resultOf({ reason, httpStatus }: Failure): UpgradeResult {
  if (reason === "ORIGIN_NOT_ALLOWED") return "origin";
  if (reason === "TOO_MANY_CONNECTIONS") return "too_many";
  return results.get(httpStatus) ?? (httpStatus < 500 ? "forbidden" : "internal");
}
