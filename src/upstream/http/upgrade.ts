import { type ClientRequest, type IncomingHttpHeaders, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { bearer, bearerToken, offeredProtocols } from "../../net/bearer.js";
import { GatewayError } from "../../status/failure.js";
import {
  type BackendRequest,
  type BackendResponse,
  type BackendTls,
  badStatus,
  hasNoContent,
  isFinalStatus,
} from "./client.js";
import { backendFailure, endToEnd } from "./message.js";

/** The response of a backend to a request for a WebSocket. */
export type UpgradeResponse =
  | {
      readonly kind: "switched";
      /** Of the 101, for the client. */
      readonly headers: IncomingHttpHeaders;
      /** From the first byte behind the response on. */
      readonly socket: Socket;
    }
  | ({ readonly kind: "refused" } & BackendResponse);

export interface UpgradeOptions {
  /** Milliseconds for the backend to respond. */
  readonly timeoutMs: number;
  readonly tls: BackendTls | undefined;
}

/** Requests a WebSocket of a backend. Rejects with a GatewayError, or with the reason of the signal. */
export function requestUpgrade(
  request: BackendRequest,
  origin: string,
  { timeoutMs, tls }: UpgradeOptions,
): Promise<UpgradeResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = open(request, origin, tls);
    const abort = (): void => void outgoing.destroy(new Error("the client disconnected"));
    const timer = setTimeout(() => outgoing.destroy(timedOut()), timeoutMs);
    const settled = (): void => {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", abort);
    };
    request.signal.addEventListener("abort", abort);
    if (request.signal.aborted) abort();
    outgoing.once("response", response => {
      settled();
      const { statusCode = 0, headers } = response;
      if (!isFinalStatus(statusCode)) {
        outgoing.destroy();
        reject(badStatus(statusCode));
        return;
      }
      response.setTimeout(timeoutMs, () => response.destroy(timedOut()));
      const body = hasNoContent("GET", statusCode) ? undefined : response;
      if (body === undefined) response.on("error", () => undefined).resume();
      resolve({ kind: "refused", status: statusCode, headers: endToEnd(headers), body });
    });
    outgoing.on("error", error => {
      settled();
      reject(new GatewayError(backendFailure(error)));
    });
    outgoing.once("upgrade", ({ headers }, socket: Socket, head: Buffer) => {
      settled();
      socket.on("error", () => socket.destroy());
      if (headers.upgrade?.toLowerCase() !== "websocket") {
        socket.destroy();
        reject(new GatewayError(backendFailure(new Error("the upstream switched to another protocol"))));
        return;
      }
      if (head.length > 0) socket.unshift(head);
      resolve({ kind: "switched", headers: agreement(request, headers), socket });
    });
    outgoing.end();
  });
}

function open(request: BackendRequest, origin: string, tls: BackendTls | undefined): ClientRequest {
  const url = new URL(request.target, origin);
  const headers: Record<string, string> = {
    ...request.headers,
    host: url.host,
    connection: "upgrade",
    upgrade: "websocket",
  };
  const offered = headers["sec-websocket-protocol"];
  const token = bearerToken(offered);
  if (token !== undefined) {
    // A token among the subprotocols is forwarded as the header that it replaces.
    headers.authorization ??= `Bearer ${token}`;
    const others = withoutToken(offered);
    if (others.length > 0) headers["sec-websocket-protocol"] = others.join(", ");
    else delete headers["sec-websocket-protocol"];
  }
  const options = { headers, agent: false, setHost: false };
  return url.protocol === "https:" ? secureRequest(url, { ...options, ...tls }) : plainRequest(url, options);
}

function withoutToken(header: string | undefined): string[] {
  const offered = offeredProtocols(header);
  offered.splice(offered.indexOf(bearer), 2);
  return offered;
}

/** The headers of the response that makes the client's connection a WebSocket. */
function agreement(request: BackendRequest, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const agreed = endToEnd(headers);
  // Browsers take no WebSocket with none of the subprotocols that they offered.
  if (bearerToken(request.headers["sec-websocket-protocol"]) !== undefined)
    agreed["sec-websocket-protocol"] ??= bearer;
  return agreed;
}

/**
 * Joins a client and its backend once both have agreed on a WebSocket: frames go through unread, each way as fast as the
 * other side takes them, so that messages may have any size, and close codes, pings and extensions are between the two.
 * @param closeGraceMs for one side to end after the other
 */
export function joinSockets(client: Duplex, backend: Socket, closeGraceMs: number): void {
  const sides = [client as Socket, backend];
  for (const from of sides) {
    const to = from === backend ? (client as Socket) : backend;
    from.setTimeout(0);
    from.setNoDelay(true);
    // A peer that has vanished sends nothing.
    from.setKeepAlive(true, keepAliveMs);
    const ended = (): void => {
      for (const socket of sides) socket.setTimeout(closeGraceMs, () => socket.destroy());
    };
    from.once("end", ended);
    from.on("error", () => from.destroy());
    from.once("close", () => {
      ended();
      // Bytes that were received are still sent.
      to.destroySoon();
    });
    from.pipe(to);
  }
}

/** Milliseconds of silence after which TCP probes whether a peer is still there. */
const keepAliveMs = 30_000;

function timedOut(): Error {
  return Object.assign(new Error("the upstream did not respond to the upgrade"), { code: "UPGRADE_TIMEOUT" });
}
