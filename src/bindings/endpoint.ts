import type { Identity } from "../auth/identity.js";
import type { Path } from "../config/diagnostic.js";
import type { Dialect } from "../dialects/dialect.js";
import type { Cancellation } from "../net/cancellation.js";
import type { Guard } from "./guard.js";

/** A route that the gateway answers itself. It sits in the same router as the bindings of RPC methods. */
export interface Endpoint {
  /** HTTP method in upper case. */
  readonly method: string;
  /** In the syntax of HttpRule. */
  readonly template: string;
  /** Where the configuration declares it. */
  readonly at: Path;
  /** Who answers, for the metrics: `livekit`, `realtime`. */
  readonly service: string;
  /** Providers of which one must accept; undefined: as `auth.default` says. */
  readonly auth: readonly string[] | "none" | undefined;
  /** Name under `rate_limits`. */
  readonly rateLimit: string | readonly string[] | undefined;
  /** Decides in place of the guard that `auth`, `rateLimit` and policies make. */
  readonly guard?: Pick<Guard, "admit">;
  readonly dialect: Dialect;
  /** Bytes; undefined: as `http.limits.body` says. */
  readonly bodyLimit: number | undefined;
  /** @throws GatewayError */
  answer(request: EndpointRequest): EndpointAnswer | Promise<EndpointAnswer>;
}

export interface EndpointRequest {
  readonly method: string;
  /** Raw, without the query. */
  readonly path: string;
  /** Raw, without `?`. */
  readonly query: string;
  /** Decoded values of the template's variables, in its order. */
  readonly variables: readonly string[];
  readonly body: Uint8Array;
  readonly identity: Identity | undefined;
  readonly clientAddress: string;
  readonly requestId: string;
  readonly cancellation: Cancellation;
  header(name: string): string | undefined;
}

export interface EndpointAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array;
}
