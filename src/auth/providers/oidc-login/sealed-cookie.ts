import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { cookieValue } from "../../credential.js";

/** Bytes of a cookie, its name included, that every browser keeps (RFC 6265 §6.1). */
export const maxCookieBytes = 4096;

/** The attributes of a cookie of the gateway. */
export interface CookieSettings {
  readonly name: string;
  /** Undefined: only for the host that sets it. */
  readonly domain: string | undefined;
  readonly sameSite: "Lax" | "Strict" | "None";
  readonly secure: boolean;
}

const algorithm = "aes-256-gcm";
const ivBytes = 12;
const tagBytes = 16;

/**
 * A cookie whose value only the gateway can read and make: AES-256-GCM under keys that HKDF-SHA-256 (RFC 5869) derives
 * from the secrets. The first encrypts, all decrypt. The value of one cookie is not accepted in another: the purpose
 * and the name of the cookie are part of the key.
 */
export class SealedCookie {
  readonly #settings: CookieSettings;
  readonly #keys: readonly Buffer[];

  /** @param secrets at least one */
  constructor(settings: CookieSettings, secrets: readonly string[], purpose: string) {
    this.#settings = settings;
    const info = `protogate ${purpose} ${settings.name}`;
    this.#keys = secrets.map(secret => Buffer.from(hkdfSync("sha256", secret, "", info, 32)));
  }

  /**
   * The value of `Set-Cookie`.
   * @param maxAge whole seconds from 1
   * @returns undefined where it would be larger than browsers keep
   */
  set(content: string, maxAge: number): string | undefined {
    const value = this.#seal(content);
    const { name } = this.#settings;
    if (name.length + 1 + value.length > maxCookieBytes) return undefined;
    return this.#header(value, maxAge);
  }

  /** The value of `Set-Cookie` that deletes the cookie. */
  clear(): string {
    return this.#header("", 0);
  }

  /**
   * The content of the cookie.
   * @param cookies a Cookie header
   * @returns undefined where there is none; null for one that was not made here, was changed, or occurs twice
   */
  read(cookies: string | undefined): Buffer | undefined | null {
    if (cookies === undefined) return undefined;
    const value = cookieValue(cookies, this.#settings.name);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || value.length > maxCookieBytes) return null;
    const sealed = Buffer.from(value, "base64url");
    for (const key of this.#keys) {
      const content = opened(key, sealed);
      if (content !== undefined) return content;
    }
    return null;
  }

  #seal(content: string): string {
    const iv = randomBytes(ivBytes);
    // The constructor's caller gives at least one.
    const cipher = createCipheriv(algorithm, this.#keys[0] as Buffer, iv);
    const sealed = [iv, cipher.update(content, "utf8"), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString("base64url");
  }

  #header(value: string, maxAge: number): string {
    const { name, domain, sameSite, secure } = this.#settings;
    const scope = domain === undefined ? "" : `; Domain=${domain}`;
    return `${name}=${value}; Path=/${scope}; Max-Age=${maxAge}; HttpOnly; SameSite=${sameSite}${secure ? "; Secure" : ""}`;
  }
}

function opened(key: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < ivBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(ivBytes, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}
