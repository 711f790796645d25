import { createHash, timingSafeEqual } from "node:crypto";

/** Subprotocol that carries a token: `Sec-WebSocket-Protocol: bearer, <token>`, all that a browser can add to an upgrade. */
export const bearer = "bearer";

/** The subprotocols of an upgrade in the order of the header. */
export function offeredProtocols(header: string | undefined): string[] {
  return header === undefined ? [] : header.split(",").map(each => each.trim());
}

/** The token behind `bearer`; undefined where there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  const offered = offeredProtocols(header);
  const at = offered.indexOf(bearer);
  return (at < 0 ? undefined : offered[at + 1]) || undefined;
}

/**
 * Checks whether an `Authorization` value is `Bearer <token>` (RFC 6750 §2.1), in a time that does not depend on the
 * token.
 * @param token undefined: every value is good
 */
export function bearerCheck(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(token);
  return authorization => {
    const [, given = ""] = /^Bearer +(.+)$/i.exec(authorization ?? "") ?? [];
    return timingSafeEqual(digest(given), expected);
  };
}
