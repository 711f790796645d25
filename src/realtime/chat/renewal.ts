import type { Authorizer, RoomAuthorizer } from "../../auth/authorizer.js";
import type { Caller } from "../../auth/caller.js";
import type { Authenticator, Identity } from "../../auth/identity.js";
import { gatewayError } from "../../status/failure.js";
import type { Socket } from "../rooms/socket.js";

/** The checks of the new token of an open socket: the same as when it was opened. */
export interface RenewalRules {
  /** Where sockets are opened. */
  readonly path: string;
  readonly authenticator: Authenticator | undefined;
  readonly authorizer: Authorizer | undefined;
  readonly policy: RoomAuthorizer | undefined;
}

/** Milliseconds before a token ends at which its client is notified. */
export const expiryNoticeMs = 30_000;

/**
 * Gives a socket the identity of another token of its subject, and takes it out of rooms whose policies do not allow that.
 * @param leave takes it out of a room, in turn
 * @throws GatewayError (or rejects with it): the socket keeps its identity
 */
export function renew(
  { path, authenticator, authorizer, policy }: RenewalRules,
  socket: Socket,
  token: string,
  leave: (room: string) => void,
): void | Promise<void> {
  if (authenticator === undefined || socket.identity === undefined)
    throw gatewayError("INVALID_VALUE", "sockets are opened without authentication; expected no token");
  if (socket.renewing)
    throw gatewayError("TOO_MANY_PENDING", "a token is being checked already", [], { retryAfter: 1 });
  const use = (identity: Identity): void => {
    const { subject } = socket;
    if (identity.subject !== socket.identity?.subject)
      throw gatewayError("CREDENTIALS_INVALID", `expected a token of the subject ${JSON.stringify(subject)}`);
    const segments = path.slice(1).split("/").map(decodeURIComponent);
    authorizer?.before(identity, segments, "GET");
    socket.identity = identity;
    for (const room of new Set([...socket.rooms.keys(), ...(socket.lanes?.keys() ?? [])])) {
      if (policy?.allows(identity, room) === false) leave(room);
    }
  };
  const identity = authenticator(new TokenCaller(path, socket.clientAddress, token));
  if (!(identity instanceof Promise)) return use(identity);
  socket.renewing = true;
  return identity.then(use).finally(() => {
    socket.renewing = false;
  });
}

/** Shows a token as if it stood in `authorization`, and nothing else. */
export class TokenCaller implements Caller {
  readonly method = "GET";
  readonly query = "";
  readonly encrypted = true;
  readonly #authorization: string;

  constructor(
    readonly path: string,
    readonly clientAddress: string,
    token: string,
  ) {
    this.#authorization = `Bearer ${token}`;
  }

  header(name: string): string | undefined {
    return name === "authorization" ? this.#authorization : undefined;
  }

  cookies(): undefined {
    return undefined;
  }

  certificate(): undefined {
    return undefined;
  }
}
