import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Tells whether an `Authorization` value is `Bearer <token>` (RFC 6750 §2.1); compared in a time that tells nothing of
 * the token.
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
