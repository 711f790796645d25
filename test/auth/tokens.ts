import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** A key pair of an issuer, and what signs with it. */
export interface Signer {
  readonly jwk: JWK;
  readonly pem: string;
  /** A token that is good for an hour, with other claims or header fields where they are given. */
  sign(claims?: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600;

export async function signer(kid: string, alg = "ES256"): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    pem: await exportSPKI(publicKey),
    sign: (claims = {}, header = {}) =>
      new SignJWT({ sub: "ada", exp: inAnHour(), ...claims })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(privateKey),
  };
}

/** A token signed with a shared secret. */
export function signShared(secret: string, claims: JWTPayload = {}, alg = "HS256"): Promise<string> {
  return new SignJWT({ sub: "ada", exp: inAnHour(), ...claims })
    .setProtectedHeader({ alg })
    .sign(Buffer.from(secret));
}

/** A token of any header and payload, with the signature that is given. */
export function forged(header: unknown, payload: unknown, signature = ""): string {
  const part = (value: unknown): string =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}
