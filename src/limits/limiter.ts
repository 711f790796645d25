import type { HeaderList } from "../net/headers.js";

/** The parts of a request that limits read. */
export interface Limited {
  readonly clientAddress: string;
  header(name: string): string | undefined;
}

/** A request that is let through. */
export interface Admission {
  /** `RateLimit` fields for the response. */
  readonly headers: HeaderList;
  /** Releases a permit of a concurrency limit, once; undefined where there is none. */
  readonly release: (() => void) | undefined;
}

/** The limits of one route. Synchronous unless a store on a server is used. */
export interface Limiter {
  /** True where a key is the subject, so that the caller must be known first. */
  readonly needsSubject: boolean;
  /** @throws GatewayError (or rejects with it), 429 with `Retry-After` */
  admit(caller: Limited, subject: string | undefined): Admission | undefined | Promise<Admission | undefined>;
}
