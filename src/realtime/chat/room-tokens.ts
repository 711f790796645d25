import { claimAt } from "../../auth/claims.js";
import type { Authenticator, Identity } from "../../auth/identity.js";
import { gatewayError } from "../../status/failure.js";
import type { RoomToken } from "../rooms/room-kinds.js";
import type { Socket } from "../rooms/socket.js";
import type { JoinFrame } from "./frames.js";
import { TokenCaller } from "./renewal.js";

/** The verifiers of tokens for rooms, by the name of a provider. */
export type RoomTokenProviders = (provider: string) => Authenticator | undefined;

/**
 * Verifies the token of a join.
 * @param claim names the room, or lists the names of several
 * @param path where sockets are opened
 * @throws GatewayError (or rejects with it) CREDENTIALS_MISSING, CREDENTIALS_INVALID, NOT_ALLOWED_IN_ROOM, or the
 *   error of the provider
 */
export function verifyRoomToken(
  authenticator: Authenticator | undefined,
  claim: string,
  path: string,
  socket: Socket,
  { room_id: room, token }: JoinFrame,
): RoomToken | Promise<RoomToken> {
  if (token === undefined || authenticator === undefined)
    throw gatewayError("CREDENTIALS_MISSING", "the room needs a token; expected token in join-room");
  const use = (identity: Identity): RoomToken => {
    const { subject, expiresAt, claims } = identity;
    const named = claimAt(claims, claim);
    if (named !== room && !(Array.isArray(named) && named.includes(room)))
      throw gatewayError("NOT_ALLOWED_IN_ROOM", `the token does not name the room in its claim ${claim}`);
    const expected = socket.identity?.subject ?? socket.roomTokens?.get(room)?.subject ?? subject;
    if (subject !== expected)
      throw gatewayError(
        "CREDENTIALS_INVALID",
        `expected a token of the subject ${JSON.stringify(expected)}`,
      );
    return { subject, expiresAt, notified: false };
  };
  const identity = authenticator(new TokenCaller(path, socket.clientAddress, token));
  return identity instanceof Promise ? identity.then(use) : use(identity);
}
