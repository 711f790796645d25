import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Reason } from "../../status/reasons.js";
import type { Verdict } from "../bridge/bridge.js";
import type { ClientFrame, PresenceFrame, RoomFrame } from "./frames.js";
import { nameProblem } from "./frame-reader.js";
import type { Rate, Socket } from "../rooms/socket.js";

/**
 * Who a frame is from: the authenticated subject, else who joined the room, else who it claims.
 * @throws GatewayError where it claims somebody else, or nobody where it must
 */
export function claimed(
  socket: Socket,
  frame: Exclude<RoomFrame, PresenceFrame>,
  joined: string | undefined,
): string {
  const { from } = frame;
  const own = socket.identity?.subject ?? joined;
  if (own === undefined) {
    if (from === undefined) throw fault("INVALID_VALUE", "from not provided");
    return from;
  }
  // A backend may have given the member another name: both are the sender's.
  if (from === undefined || from === own || from === joined) return joined ?? own;
  throw fault("FROM_MISMATCH", `from: expected ${JSON.stringify(own)}, who the sender is; or leave it out`);
}

/** The sender's name as a backend has rewritten it, where that is a name at all. */
export function rewrittenName(name: unknown, from: string): string {
  return name !== undefined && nameProblem(name) === undefined ? (name as string) : from;
}

/** Only members may. */
export function notMember(room: string): GatewayError {
  return fault("NOT_A_MEMBER", `join the room ${JSON.stringify(room)} first`);
}

function fault(reason: Reason, message: string): GatewayError {
  return new GatewayError(gatewayFailure(reason, message));
}

/** What a backend has refused. */
export function refused({ failure }: Extract<Verdict, { allow: false }>): GatewayError {
  return new GatewayError(failure);
}

/** The socket has sent more than its rate. */
export function tooFast({ perSecond }: Rate): Failure {
  return gatewayFailure("RATE_LIMITED", `a socket may send ${perSecond} frames a second`, [], {
    retryAfter: 1,
  });
}

/** The room that a frame is about, where it is about one. */
export function roomOf(frame: ClientFrame): string | undefined {
  return "room_id" in frame ? frame.room_id : undefined;
}
