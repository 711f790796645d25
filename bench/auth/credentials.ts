import { createHash, randomBytes } from "node:crypto";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import { smallRequest } from "../content.js";

/** Who calls in the bench, and what the gateway knows them by. */
export interface Credentials {
  /** The issuer's public key, PEM. */
  readonly issuerKey: string;
  /** Good tokens of as many callers. */
  readonly tokens: readonly string[];
  readonly apiKey: string;
  /** What stands in the file of keys. */
  readonly apiKeyHash: string;
}

export const issuer = "https://id.example.com";
export const audience = "api";

/** @param count of tokens, each as long as an identity provider makes them */
export async function makeCredentials(count: number): Promise<Credentials> {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const sign = (_: unknown, index: number): Promise<string> =>
    new SignJWT({ scope: "openid profile read", name: "Ada Lovelace", message: smallRequest.messageId })
      .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: "2024-05" })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(`user-${index}`)
      .setIssuedAt()
      .setExpirationTime("1d")
      .sign(privateKey);
  const apiKey = randomBytes(24).toString("base64url");
  return {
    issuerKey: await exportSPKI(publicKey),
    tokens: await Promise.all(Array.from({ length: count }, sign)),
    apiKey,
    apiKeyHash: `sha256:${createHash("sha256").update(apiKey).digest("hex")}`,
  };
}
