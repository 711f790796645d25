import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify<string, Buffer, number, Buffer>(scrypt);
const keyBytes = 32;

/** The stored form of a password: a salted scrypt hash (RFC 7914) with the cost that Node sets by default. */
export interface PasswordHash {
  readonly salt: Buffer;
  readonly key: Buffer;
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  return { salt, key: await derive(password, salt, keyBytes) };
}

/** Takes the same time without a hash to compare with, so that the time does not reveal whether a login exists. */
export async function verifyPassword(password: string, hash: PasswordHash | undefined): Promise<boolean> {
  const { salt, key } = hash ?? { salt: randomBytes(16), key: randomBytes(keyBytes) };
  return timingSafeEqual(await derive(password, salt, keyBytes), key) && hash !== undefined;
}
