import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type JWTPayload, SignJWT } from "jose";
import { demoSecret } from "../../src/demo/openim/token.js";
import type { Answer } from "./http-client.js";
import { type System, startSystem } from "./system.js";

export const example = resolve(import.meta.dirname, "../../config/examples/openim.yaml");
export const john = "1001";
export const helen = "1002";

/** One of `data.users`. */
export type User = Readonly<Record<string, unknown>>;

export interface Envelope {
  readonly errCode: number;
  readonly errMsg: string;
  readonly errDlt: string;
  readonly data?: Readonly<Record<string, unknown>> & { readonly users?: readonly User[] };
}

function sign(claims: JWTPayload, secret = demoSecret): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
}

export const now = Math.floor(Date.now() / 1000);
/** A Chat token of John with other claims than the usual ones. */
export function tokenWith(claims: JWTPayload, secret?: string): Promise<string> {
  return sign({ UserID: john, UserType: 1, PlatformID: 0, exp: now + 3600, iat: now, ...claims }, secret);
}

/** The headers that an OpenIM client sends. */
export function headers(token?: string): Record<string, string> {
  return { operationID: "op-1", ...(token === undefined ? {} : { token }) };
}

export function post(system: System, path: string, body: unknown, token?: string): Promise<Answer> {
  return system.send("POST", path, { body, headers: headers(token) });
}

export async function logIn(system: System, account: string): Promise<string> {
  const { data } = envelope(await post(system, "/account/login", { account, password: "xxx" }));
  return String(data?.chatToken);
}

/** The envelope of an answer, which is HTTP 200 whatever it says. */
export function envelope(answer: Answer): Envelope {
  assert.equal(answer.status, 200, answer.body);
  assert.match(answer.headers["content-type"] ?? "", /^application\/json/);
  return JSON.parse(answer.body) as Envelope;
}

export function assertError(answer: Answer, errCode: number, errMsg: string, errDlt: RegExp): void {
  const { errDlt: detail, ...rest } = envelope(answer);
  assert.deepEqual(rest, { errCode, errMsg });
  assert.match(detail, errDlt);
}

/** The example with its text changed, in front of a demo backend of its own. */
export async function startVariant(change: (yaml: string) => string): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  try {
    const protos = resolve(import.meta.dirname, "../../protos/openim");
    const file = join(folder, "variant.yaml");
    writeFileSync(file, change(readFileSync(example, "utf8")).replace("../../protos/openim", protos));
    return await startSystem(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
