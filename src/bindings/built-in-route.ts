import type { Caller } from "../auth/caller.js";
import type { AuthNames } from "../auth/config.js";
import type { Identity } from "../auth/identity.js";
import type { OriginRequest } from "../auth/request-origins.js";
import type { Path } from "../config/diagnostic.js";
import type { Dialect, JsonSchema } from "../dialects/dialect.js";
import type { Cancellation } from "../net/cancellation.js";
import type { HeaderList } from "../net/headers.js";
import type { Template } from "../routing/template.js";
import { parseTemplate } from "../routing/template-parser.js";
import type { Reason } from "../status/reasons.js";
import type { Guard, GuardResult } from "./guard.js";

/** A prefix that the configuration passes through to an HTTP backend. */
export interface PassThroughPrefix {
  readonly at: Path;
  /** For any method. */
  readonly method: string;
  readonly template: string;
  /** `/legacy`, without `/` at its end. */
  readonly prefix: string;
  readonly upstream: string;
  readonly websocket: boolean;
  /** Providers of which one must accept; undefined: those of `auth.default`. */
  readonly auth: AuthNames | undefined;
  readonly rateLimit: string | readonly string[] | undefined;
  /** Checks a request before it is forwarded. @throws GatewayError */
  check?(request: OriginRequest): void;
}

/** A route without an RPC method, with its template parsed. */
export type BuiltInRoute =
  | {
      readonly kind: "local";
      readonly method: string;
      readonly template: Template;
      readonly handler: LocalHandler;
    }
  | {
      readonly kind: "pass-through";
      readonly method: string;
      readonly template: Template;
      readonly passThrough: PassThroughPrefix;
    };

/** @throws TemplateError */
export function builtInRoute(declared: LocalHandler | PassThroughPrefix): BuiltInRoute {
  const { method } = declared;
  const template = parseTemplate(declared.template);
  return "handle" in declared
    ? { kind: "local", method, template, handler: declared }
    : { kind: "pass-through", method, template, passThrough: declared };
}

/** Serves a route inside the gateway. It is in the same router as the bindings of RPC methods. */
export interface LocalHandler {
  /** HTTP method in upper case. */
  readonly method: string;
  /** In the syntax of HttpRule. */
  readonly template: string;
  /** Where the configuration declares it. */
  readonly at: Path;
  /** The part of the gateway, for the metrics: `livekit`, `realtime`. */
  readonly service: string;
  /** Providers of which one must accept; undefined: those of `auth.default`. */
  readonly auth: readonly string[] | "none" | undefined;
  /** Name under `rate_limits`. */
  readonly rateLimit: string | readonly string[] | undefined;
  /** Replaces the guard that `auth`, `rateLimit` and policies make. */
  readonly guard?: Pick<Guard, "admit">;
  readonly dialect: Dialect;
  /** Bytes; undefined: `http.limits.body`. */
  readonly bodyLimit: number | undefined;
  /** For documents of the API; without one it is not documented. */
  readonly operation?: LocalOperation;
  /** A file of a page, or a request of its own: documents of the API list the page alone. */
  readonly partOfPage?: boolean;
  /** The headers about the pages that may read its responses, in place of those of `http.cors`; it has its own OPTIONS. */
  cors?(origin: string | undefined): LocalResponse["headers"];
  /** @throws GatewayError */
  handle(request: LocalRequest): LocalResponse | Promise<LocalResponse>;
}

/** How a route that the gateway serves itself is described to callers. Schemas are JSON Schema 2020-12. */
export interface LocalOperation {
  /** Unique among all operations. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** The group of operations that it belongs to, and the description of the group. */
  readonly tag: { readonly name: string; readonly description: string };
  /** Of the template's variables and of the query, by name; those of the template may be left out. */
  readonly parameters?: Readonly<Record<string, ParameterDescription>>;
  /** Of a JSON body; undefined where none is taken. */
  readonly body?: JsonSchema;
  /** Of the JSON body of a success; undefined where it has none. */
  readonly response: JsonSchema | undefined;
  /** Reasons of its refusals beside those of its guard. */
  readonly reasons: readonly Reason[];
}

export interface ParameterDescription {
  readonly description: string;
  readonly schema: JsonSchema;
  readonly required?: boolean;
}

export interface LocalRequest extends Caller {
  /** Decoded values of the template's variables, in its order. */
  readonly variables: readonly string[];
  readonly body: Uint8Array;
  readonly identity: Identity | undefined;
  /** What the route's guard has established; undefined where it has none. */
  readonly guardResult: GuardResult | undefined;
  readonly requestId: string;
  readonly cancellation: Cancellation;
}

export interface LocalResponse {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string | Uint8Array | LocalStream;
  /** The request waited for an event: its time is no latency. */
  readonly waited?: boolean;
}

/**
 * Writes a body for as long as it likes. The request is over, for metrics and log, when its head is out. Called once;
 * that the client leaves is known by `LocalRequest.cancellation`.
 * @param abandon ends the connection, so that the client sees that the response is incomplete
 */
export type LocalStream = (writer: LocalBodyWriter, abandon: () => void) => void;

/** As `BodyWriter` of an engine. */
export interface LocalBodyWriter {
  /** @returns false where the client is behind: nothing more should be written until `onDrain` */
  write(chunk: string): boolean;
  /** Calls `listener` whenever the client has taken the waiting bytes. */
  onDrain(listener: () => void): void;
  end(): void;
}
