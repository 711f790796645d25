import type { HeaderList } from "../net/headers.js";
import type { Failure, StatusOfCode } from "../status/failure.js";

/** How errors, successes and the caller's metadata look to the clients and backends of one ecosystem. */
export interface Dialect {
  /** As `errors` names it in the configuration. */
  readonly name: string;
  /**
   * The error response.
   * @param detailsJson each detail of the failure as the JSON text of an Any, in the same order; inserted as it is
   */
  renderFailure(failure: Failure, detailsJson: readonly string[], context: FailureContext): RenderedFailure;
  /**
   * The body of a success.
   * @param json JSON text of the response message; undefined where its type has no fields
   */
  renderSuccess?(json: string | undefined): string;
  /** The schema of error bodies. Property names are those that `renderFailure` writes. */
  readonly failureSchema: JsonSchema;
  /** The schema of a success, made of that of the response message; undefined where its type has no fields. */
  successSchema?(message: JsonSchema | undefined): JsonSchema;
  /** The requirement of the dialect on a request, checked before anything else. */
  readonly accept?: AcceptRule;
  /** The metadata about the caller that it sends to backends, and the names of request metadata that only it writes. */
  readonly callerMetadata?: CallerMetadata;
  /** The HTTP status of its codes above those that gRPC defines; 500 for codes that it does not know. */
  readonly statusOfCode?: StatusOfCode;
  /** Why a backend refuses a credential, by its code above those that gRPC defines. */
  readonly credentialReasons?: ReadonlyMap<number, CredentialReason>;
  /** Messages with one field that its clients and servers write as bare values, unless `json.wrappers` is given. */
  readonly wrappers?: readonly string[];
}

/** JSON Schema 2020-12. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Properties that the error bodies of several dialects have. */
export const codeSchema: JsonSchema = {
  type: "integer",
  description: "The gRPC code; above 16 the backend's own.",
};
export const reasonSchema: JsonSchema = {
  type: "string",
  description: "What went wrong, for programs: an UPPER_SNAKE name.",
};
export const detailsSchema: JsonSchema = {
  type: "array",
  description: "google.protobuf.Any values, such as google.rpc.BadRequest.",
  items: { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] },
};

export interface FailureContext {
  readonly requestId: string;
  /** Raw path of the request, without the query. */
  readonly path: string;
}

/** An error response, headers aside. */
export interface RenderedFailure {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The parts of a request that a dialect reads. */
export interface DialectRequest {
  /** In upper case. */
  readonly method: string;
  /** @param name in lower case */
  header(name: string): string | undefined;
}

/** A header that a dialect reads. */
export interface DialectHeader {
  readonly name: string;
  readonly description: string;
  /** HTTP methods of which it is required. */
  readonly requiredOf: readonly string[];
  readonly schema: JsonSchema;
}

export interface AcceptRule {
  readonly header: DialectHeader;
  /** The condition under which a request is refused with MISSING_HEADER, for `explain`. */
  readonly when: string;
  /** @throws GatewayError MISSING_HEADER, INVALID_HEADER */
  check(request: DialectRequest): void;
}

/** The parts of an authenticated identity that a dialect reads. Identities are shared by requests and immutable. */
export interface DialectIdentity {
  readonly subject: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly metadata: HeaderList;
}

export interface CallerMetadata {
  /** Lower-case names; headers of these names never pass from a client. */
  readonly names: ReadonlySet<string>;
  /** @throws GatewayError CREDENTIALS_INVALID where metadata cannot carry the subject */
  entries(request: DialectRequest, identity: DialectIdentity | undefined, requestId: string): HeaderList;
}

/** Reasons for which a credential is refused. */
export type CredentialReason = "TOKEN_EXPIRED" | "TOKEN_MALFORMED" | "TOKEN_NOT_YET_VALID" | "TOKEN_REVOKED";
