import { chatApiDialect } from "./chat-api.js";
import type { CredentialReason, Dialect } from "./dialect.js";
import { googleDialect } from "./google.js";
import { openimDialect } from "./openim/dialect.js";
import { problemDialect } from "./problem.js";
import { statusDialect } from "./status.js";

/** Every dialect by the name that `errors` gives it. A new one is a file and a line here. */
export const dialects = {
  status: statusDialect,
  google: googleDialect,
  problem: problemDialect,
  openim: openimDialect,
  "chat-api": chatApiDialect,
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof dialects;

export const dialectNames = Object.keys(dialects) as [DialectName, ...DialectName[]];

/** The meaning for a credential of a code above those that gRPC defines, in any dialect that knows the code. */
export function credentialRefusal(code: number): {
  readonly refused: boolean;
  readonly reason: CredentialReason | undefined;
} {
  for (const { statusOfCode, credentialReasons } of Object.values<Dialect>(dialects)) {
    if (statusOfCode === undefined || statusOfCode(code) >= 500) continue;
    return { refused: true, reason: credentialReasons?.get(code) };
  }
  return { refused: false, reason: undefined };
}
