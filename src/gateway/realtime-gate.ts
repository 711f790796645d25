import type { Guard } from "../bindings/guard.js";
import { requireHandshake } from "../realtime/sockets/upgrade-request.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Rooms } from "./runtime.js";

/** What stands at the path of the sockets in a router. */
export type SocketGate = Pick<Guard, "admit">;

/**
 * Listeners take sockets in before the router: what is left is not asked for as RFC 6455 has it, or by another spelling
 * of the path, which listeners compare as it is written.
 */
export function closedGate(rooms: () => Rooms, socketPath: string): SocketGate {
  return {
    admit(caller, path) {
      if (path !== socketPath) throw notHere();
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

function notHere(): GatewayError {
  return new GatewayError(gatewayFailure("ROUTE_NOT_FOUND", "no WebSocket is served here"));
}
