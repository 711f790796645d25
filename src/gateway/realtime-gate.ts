import type { Guard, Passage } from "../bindings/guard.js";
import { admitSocket } from "../realtime/admission.js";
import { requireHandshake } from "../realtime/handshake.js";
import { relayHeader, type SocketRelay } from "../realtime/relay.js";
import type { Socket } from "../realtime/socket.js";
import { UpgradeRequest } from "../realtime/upgrade-request.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import { requestIdOf } from "../telemetry/request-id.js";
import type { Rooms } from "./runtime.js";

/** What stands at the path of the sockets in a router. */
export type SocketGate = Pick<Guard, "admit">;

/**
 * Where `@fastify/http-proxy` passes sockets on to their own listener: decides all that this one would decide, before
 * the proxy says yes to the client, and keeps the socket for the ticket that the proxy carries there.
 */
export function relayGate(rooms: () => Rooms, socketPath: string): SocketGate {
  return {
    admit(caller, path, passage) {
      requireSpelling(path, socketPath);
      const { realtime, relay } = rooms();
      const request = new UpgradeRequest(caller, realtime.settings.origins);
      const requestId = requestIdOf(caller.header("x-request-id"));
      const gone = (): boolean => false;
      const socket = admitSocket(realtime, { request, path, requestId, passage, gone });
      if (socket instanceof Promise) return socket.then(admitted => ticketed(passage, admitted, relay));
      return ticketed(passage, socket, relay);
    },
  };
}

/** Where uWebSockets.js itself takes sockets in: what is left is not asked for as RFC 6455 has it. */
export function closedGate(rooms: () => Rooms): SocketGate {
  return {
    admit(caller) {
      try {
        requireHandshake(name => caller.header(name));
      } catch (error) {
        rooms().realtime.metrics.upgrade("malformed");
        throw error;
      }
      throw notHere();
    },
  };
}

/** The listener behind is told by which ticket, and nothing else. */
function ticketed(passage: Passage, socket: Socket, relay: SocketRelay): void {
  const ticket = relay.keep(socket);
  passage.releases.push(() => relay.drop(ticket));
  const { identity, subject } = socket;
  const nobody = { provider: "", subject, scopes: new Set<string>(), claims: {}, expiresAt: undefined };
  passage.identity = { ...(identity ?? nobody), metadata: [[relayHeader, ticket]] };
}

/** uWebSockets.js compares paths as they are written. */
function requireSpelling(path: string, socketPath: string): void {
  if (path !== socketPath) throw notHere();
}

function notHere(): GatewayError {
  return new GatewayError(gatewayFailure("ROUTE_NOT_FOUND", "no WebSocket is served here"));
}
