import { Code } from "./code.js";

/** What one reason means on the wire, and to people. */
interface ReasonEntry {
  readonly httpStatus: number;
  /** gRPC status code. */
  readonly code: number;
  /** One sentence for people. */
  readonly doc: string;
}

/**
 * The errors that the gateway makes itself. Names fit `google.rpc.ErrorInfo.reason`
 * (`[A-Z][A-Z0-9_]+[A-Z0-9]`, at most 63 characters) and are part of the public interface: never rename one.
 *
 * Where something is too large the code is RESOURCE_EXHAUSTED, as in gRPC implementations. An upstream that
 * breaks the protocol is INTERNAL and not UNAVAILABLE, because the call may have run and must not look safe to retry.
 */
export const reasons = {
  CREDENTIALS_MISSING: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The route requires authentication, and the request has no credentials.",
  },
  CREDENTIALS_INVALID: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "None of the route's providers accepts the credentials of the request.",
  },
  TOKEN_EXPIRED: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The token has expired; a new one is needed.",
  },
  TOKEN_MALFORMED: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The credential is not a well-formed token.",
  },
  TOKEN_NOT_YET_VALID: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The token is not valid yet.",
  },
  TOKEN_REVOKED: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The token was revoked by its issuer.",
  },
  AUTH_UNAVAILABLE: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The credentials cannot be verified right now.",
  },
  ROUTE_NOT_FOUND: {
    httpStatus: 404,
    code: Code.NOT_FOUND,
    doc: "No route has this path.",
  },
  METHOD_NOT_ALLOWED: {
    httpStatus: 405,
    code: Code.UNIMPLEMENTED,
    doc: "Routes with this path exist, but for other methods; Allow lists them.",
  },
  MALFORMED_PATH: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The path has invalid percent-encoding or is not valid UTF-8.",
  },
  MALFORMED_QUERY: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The query has invalid percent-encoding, is not valid UTF-8 or has a key that cannot be read.",
  },
  MALFORMED_JSON: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The body is not valid JSON in UTF-8.",
  },
  MALFORMED_FORM: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The body is not the form that its content type announces.",
  },
  DUPLICATE_KEY: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "A JSON object has the same key twice, or names one field twice.",
  },
  TOO_DEEP: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The value is nested deeper than the gateway reads.",
  },
  INVALID_VALUE: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "A value does not fit the type of its field.",
  },
  UNKNOWN_FIELD: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The body names a field that the request message does not have.",
  },
  UNKNOWN_PARAMETER: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The query names a field that the request message does not have, or that the query may not set.",
  },
  ONEOF_CONFLICT: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "Two fields of one oneof are set.",
  },
  FIELD_COLLISION: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The query or the body sets a field that the path binds, to another value.",
  },
  REPEATED_PARAMETER: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "A query parameter is given more than once, but its field takes one value.",
  },
  UNEXPECTED_BODY: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request has a body, but its route takes none.",
  },
  VALIDATION_FAILED: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request breaks rules that its message declares; the details name each field.",
  },
  IDENTITY_MISMATCH: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "The request asks for a token of another identity than the caller's own.",
  },
  PARTICIPANT_REMOVED: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "The identity was removed from the LiveKit room; until the tokens from before have ended it gets no other.",
  },
  WEBHOOK_REJECTED: {
    httpStatus: 401,
    code: Code.UNAUTHENTICATED,
    doc: "The webhook is not signed with the LiveKit key that the gateway has, or its signature is too old.",
  },
  WEBHOOK_FAILED: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The webhook could not be delivered; its sender may send it again.",
  },
  BODY_TOO_LARGE: {
    httpStatus: 413,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The body is larger than the gateway takes.",
  },
  REQUEST_TOO_LARGE: {
    httpStatus: 413,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The request message is larger than the upstream takes.",
  },
  URI_TOO_LONG: {
    httpStatus: 414,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The path and query together are longer than the gateway takes.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    httpStatus: 415,
    code: Code.INVALID_ARGUMENT,
    doc: "The route does not read bodies of this content type or encoding.",
  },
  UNSUPPORTED_ENCODING: {
    httpStatus: 415,
    code: Code.UNIMPLEMENTED,
    doc: "Messages are compressed in a way that the gateway does not read; a header lists those that it does.",
  },
  UNSUPPORTED_VERSION: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request is in a version of its protocol that the gateway does not speak.",
  },
  MALFORMED_ENVELOPE: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The body is not made of messages as its protocol frames them, or a compressed message is broken.",
  },
  UNEXPECTED_COMPRESSION: {
    httpStatus: 400,
    code: Code.INTERNAL,
    doc: "A message is marked as compressed, but the request names no encoding.",
  },
  MESSAGE_COUNT: {
    httpStatus: 400,
    code: Code.UNIMPLEMENTED,
    doc: "The method takes exactly one request message, and the body has none or several.",
  },
  NOT_ACCEPTABLE: {
    httpStatus: 406,
    code: Code.INVALID_ARGUMENT,
    doc: "The route cannot respond in any of the content types that the client accepts.",
  },
  ACCESS_DENIED: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "An external authorization service does not allow the request.",
  },
  POLICY_DENIED: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "A policy does not let this caller do this.",
  },
  SCOPE_MISSING: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "The caller's credential does not have the scopes that a policy requires.",
  },
  RATE_LIMITED: {
    httpStatus: 429,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The caller sends requests faster than a rate limit allows; Retry-After says when the next may pass.",
  },
  TOO_MANY_CONCURRENT: {
    httpStatus: 429,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The caller has as many requests under way as a limit allows.",
  },
  RATE_LIMIT_UNAVAILABLE: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The store that counts requests does not respond, and the limit is configured to refuse requests then.",
  },
  ORIGIN_NOT_ALLOWED: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "A page of this origin may not open a WebSocket here.",
  },
  UPGRADE_REQUIRED: {
    httpStatus: 426,
    code: Code.INVALID_ARGUMENT,
    doc: "The path is that of a WebSocket, but the request does not ask for one of version 13.",
  },
  WEBSOCKET_NOT_SUPPORTED: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request asks for a WebSocket, but the method of its route does not stream.",
  },
  TOO_MANY_CONNECTIONS: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The gateway has as many WebSockets open as its limit allows.",
  },
  BINARY_FRAME: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The frame is binary; the socket reads JSON in text frames.",
  },
  UNKNOWN_TYPE: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The frame has a type that the socket does not know.",
  },
  NOT_A_MEMBER: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "Only members of the room may do this; join it first.",
  },
  FROM_MISMATCH: {
    httpStatus: 403,
    code: Code.PERMISSION_DENIED,
    doc: "The frame claims to come from somebody else than its sender.",
  },
  TOO_MANY_ROOMS: {
    httpStatus: 429,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The socket is in as many rooms as its limit allows.",
  },
  TOO_MANY_PENDING: {
    httpStatus: 429,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "Too many frames of the socket wait for the backend that decides on them.",
  },
  MISDIRECTED_REQUEST: {
    httpStatus: 421,
    code: Code.PERMISSION_DENIED,
    doc: "The Host header names a host that this listener does not serve.",
  },
  HEADERS_TOO_LARGE: {
    httpStatus: 431,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The request headers are larger than the gateway takes.",
  },
  MISSING_HEADER: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request lacks a header that its route requires.",
  },
  INVALID_HEADER: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "A request header has a value that cannot be read or passed on.",
  },
  INVALID_TIMEOUT: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The grpc-timeout or x-request-timeout header is malformed.",
  },
  MALFORMED_REQUEST: {
    httpStatus: 400,
    code: Code.INVALID_ARGUMENT,
    doc: "The request is not valid HTTP.",
  },
  REQUEST_TIMEOUT: {
    httpStatus: 408,
    code: Code.DEADLINE_EXCEEDED,
    doc: "The client did not send its whole request in time.",
  },
  CLIENT_CLOSED: {
    httpStatus: 499,
    code: Code.CANCELLED,
    doc: "The client went away before there was a response.",
  },
  UPSTREAM_UNAVAILABLE: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "No endpoint of the upstream could be reached.",
  },
  UPSTREAM_TIMEOUT: {
    httpStatus: 504,
    code: Code.DEADLINE_EXCEEDED,
    doc: "The upstream did not respond in time.",
  },
  UPSTREAM_PROTOCOL: {
    httpStatus: 502,
    code: Code.INTERNAL,
    doc: "The upstream broke the gRPC or HTTP/2 protocol; whether the call ran is not known.",
  },
  UPSTREAM_ENCODING: {
    httpStatus: 500,
    code: Code.INTERNAL,
    doc: "The upstream does not take compressed messages, though its `compression` is configured.",
  },
  UPSTREAM_MALFORMED_MESSAGE: {
    httpStatus: 502,
    code: Code.INTERNAL,
    doc: "The upstream sent bytes that are not the message its method declares.",
  },
  RESPONSE_TOO_LARGE: {
    httpStatus: 502,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The response of the upstream is larger than the gateway accepts.",
  },
  DOCUMENT_TOO_LARGE: {
    httpStatus: 400,
    code: Code.OUT_OF_RANGE,
    doc: "The OpenAPI document of so many services is larger than the gateway makes one; those of fewer can be had.",
  },
  STREAMING_NOT_SUPPORTED: {
    httpStatus: 501,
    code: Code.UNIMPLEMENTED,
    doc: "The method streams, which this route cannot carry.",
  },
  METHOD_NOT_CALLABLE: {
    httpStatus: 404,
    code: Code.NOT_FOUND,
    doc: "Sockets may not call this method, or there is none of that name.",
  },
  CALL_ID_IN_USE: {
    httpStatus: 409,
    code: Code.ALREADY_EXISTS,
    doc: "A call with this id is under way on the socket.",
  },
  CALL_CANCELLED: {
    httpStatus: 499,
    code: Code.CANCELLED,
    doc: "The client cancelled the call.",
  },
  TOO_MANY_CALLS: {
    httpStatus: 429,
    code: Code.RESOURCE_EXHAUSTED,
    doc: "The socket, or all sockets together, have as many calls under way as the gateway allows.",
  },
  BROKER_UNAVAILABLE: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The broker of realtime messages cannot be reached; a message with an id may be sent again.",
  },
  SHUTTING_DOWN: {
    httpStatus: 503,
    code: Code.UNAVAILABLE,
    doc: "The gateway is shutting down and takes no new requests.",
  },
  INTERNAL: {
    httpStatus: 500,
    code: Code.INTERNAL,
    doc: "The gateway failed in a way it did not foresee; its log says more.",
  },
} as const satisfies Readonly<Record<string, ReasonEntry>>;

/** The name of an error that the gateway makes itself. */
export type Reason = keyof typeof reasons;
