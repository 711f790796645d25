import type { HttpRequest, HttpResponse, us_listen_socket } from "uWebSockets.js";
import { randomBytes } from "node:crypto";
import { clientAddress } from "../net/client-address.js";
import { PeerAddresses } from "../net/peer-address.js";
import type { ServerTls } from "../net/server-tls.js";
import { loadUws } from "../net/uws-addon.js";
import { createApp, listen } from "../net/uws-listener.js";
import { gatewayFailure } from "../status/failure.js";
import { requestIdOf } from "../telemetry/request-id.js";
import { answer, answerable, answerFailure, failureOf } from "./http-answer.js";
import type { Realtime } from "./realtime.js";
import { listRooms } from "./rest.js";
import { acceptUpgrades } from "./upgrade.js";
import { headersOf, UpgradeRequest } from "./upgrade-request.js";

/** What the listener needs beside the rooms. */
export interface RealtimeServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: ServerTls | undefined;
  /** Where WebSockets are opened, such as `/ws`. */
  readonly path: string;
  /** Bytes. */
  readonly messageLimit: number;
  /** Milliseconds, 8000 to 960000. */
  readonly idleTimeout: number;
  readonly deflate: boolean;
  /** How many proxies in front may be believed, default none. */
  readonly trustedHops?: number;
  /** Bytes of a request head; the addon reads it when it is first loaded. */
  readonly headerLimit: number;
}

/** A listener for WebSockets of its own. */
export interface RealtimeServer {
  readonly port: number;
  /**
   * What the gateway's own proxy on the HTTP port adds to an upgrade, so that `x-forwarded-for` is believed: from
   * anybody else it is not. Unguessable, and new with every process.
   */
  readonly relay: readonly [name: string, value: string];
  /** Stops accepting; open sockets stay. */
  stop(): void;
  /** Ends what is left. */
  destroy(): void;
}

export const relayHeader = "x-protogate-relay";

/**
 * Listens for the WebSockets of `realtime`, and answers `GET /rooms`.
 * @throws AddonError where the addon cannot be loaded
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot listen
 * @throws Error where the certificate cannot be used
 */
export async function startRealtimeServer(
  realtime: Realtime,
  options: RealtimeServerOptions,
): Promise<RealtimeServer> {
  const uws = await loadUws(options.headerLimit);
  const app = createApp(uws, options.tls);
  const peers = new PeerAddresses();
  const secret = randomBytes(18).toString("base64url");
  const encrypted = options.tls !== undefined;
  app.filter((response, change) => peers.counted(response, change));
  acceptUpgrades(app, realtime, {
    ...options,
    encrypted,
    peers,
    clientAddress: (peer, header) => relayedAddress(peer, header, secret, options.trustedHops ?? 0),
  });
  app.get("/rooms", (response, request) => {
    const clientAddress = peers.addressOf(response);
    const caller = new UpgradeRequest(headersOf(request), request.getQuery() ?? "", {
      clientAddress,
      encrypted,
      origins: realtime.settings.origins,
    });
    void answerRooms(realtime, caller, response);
  });
  app.any("/*", (response, request) => answerUnknown(response, request, options.path));
  let socket: us_listen_socket | undefined = await listen(uws, app, options.host, options.port);
  return {
    port: uws.us_socket_local_port(socket),
    relay: [relayHeader, secret],
    stop() {
      // To close it a second time would be to use what has been freed.
      if (socket !== undefined) uws.us_listen_socket_close(socket);
      socket = undefined;
    },
    destroy: () => void app.close(),
  };
}

/** The gateway's own proxy is one more that is trusted. */
function relayedAddress(
  peer: string,
  header: (name: string) => string | undefined,
  secret: string,
  trustedHops: number,
): string {
  const hops = header(relayHeader) === secret ? trustedHops + 1 : trustedHops;
  return clientAddress(peer, header("x-forwarded-for"), hops);
}

async function answerRooms(
  realtime: Realtime,
  caller: UpgradeRequest,
  response: HttpResponse,
): Promise<void> {
  const to = answerable(response);
  const requestId = requestIdOf(caller.header("x-request-id"));
  try {
    await realtime.settings.authenticator?.(caller);
    const { status, headers, body } = await listRooms(realtime);
    answer(to, status, headers, body);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.reason === "INTERNAL") realtime.logger?.error({ err: error }, "rooms could not be listed");
    answerFailure(to, failure, "chat-api", requestId, "/rooms");
  }
}

function answerUnknown(response: HttpResponse, request: HttpRequest, path: string): void {
  const found = request.getUrl();
  const failure =
    found === path
      ? gatewayFailure("UPGRADE_REQUIRED", "this is the path of a WebSocket", [], {
          headers: [["upgrade", "websocket"]],
        })
      : gatewayFailure("ROUTE_NOT_FOUND", "there is no such endpoint");
  const requestId = requestIdOf(request.getHeader("x-request-id") || undefined);
  answerFailure(answerable(response), failure, "chat-api", requestId, found);
}
