import type { Reason } from "../status/reasons.js";
import type { AuthResult, ProviderCounters } from "./auth-metrics.js";
import type { Caller } from "./caller.js";
import type { Identity } from "./identity.js";

/** One way to establish who calls. */
export interface Provider {
  readonly name: string;
  /** Authentication scheme of the challenge that a 401 carries, such as `Bearer` (RFC 9110 §11.6.1). */
  readonly scheme: string;
  readonly counters: ProviderCounters;
  /** Names of the metadata by which backends are told of callers, beside `claims_to_metadata`; can change. */
  readonly metadataNames?: ReadonlySet<string>;
  /**
   * Undefined where the request has no credentials for this provider; synchronous where the answer is known.
   * @throws Refusal (or rejects with it)
   */
  identify(caller: Caller): Identity | undefined | Promise<Identity>;
  /** Stops what runs in the background. */
  close(): void;
}

/** Why credentials are not accepted, as far as the client is told. */
export type RefusalReason = Extract<
  Reason,
  "CREDENTIALS_INVALID" | "TOKEN_EXPIRED" | "TOKEN_MALFORMED" | "TOKEN_NOT_YET_VALID" | "TOKEN_REVOKED"
>;

/** Credentials that a provider does not accept, or cannot tell about. `message` is for the log, never for the client. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly result: Extract<AuthResult, "invalid" | "expired" | "unavailable">,
    message: string,
    readonly reason: RefusalReason = result === "expired" ? "TOKEN_EXPIRED" : "CREDENTIALS_INVALID",
  ) {
    super(message);
  }
}

/** @throws Refusal */
export function refuse(message: string): never {
  throw new Refusal("invalid", message);
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
