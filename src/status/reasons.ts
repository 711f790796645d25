import { Code } from "./code.js";

/** The meaning of one reason on the wire, and for people. */
interface ReasonEntry {
  readonly httpStatus: number;
  /** gRPC status code. */
  readonly code: number;
  /** One sentence for people. */
  readonly doc: string;
}

/** Entries of one gRPC status code. */
function entries(code: number, usual: number) {
  return (doc: string, httpStatus = usual): ReasonEntry => ({ httpStatus, code, doc });
}

const invalidArgument = entries(Code.INVALID_ARGUMENT, 400);
const permissionDenied = entries(Code.PERMISSION_DENIED, 403);
const unauthenticated = entries(Code.UNAUTHENTICATED, 401);
const unavailable = entries(Code.UNAVAILABLE, 503);
const resourceExhausted = entries(Code.RESOURCE_EXHAUSTED, 429);
const notFound = entries(Code.NOT_FOUND, 404);
const cancelled = entries(Code.CANCELLED, 499);
const internal = entries(Code.INTERNAL, 502);
const unimplemented = entries(Code.UNIMPLEMENTED, 405);
const deadlineExceeded = entries(Code.DEADLINE_EXCEEDED, 408);
const outOfRange = entries(Code.OUT_OF_RANGE, 400);
const aborted = entries(Code.ABORTED, 409);
const alreadyExists = entries(Code.ALREADY_EXISTS, 409);

/**
 * The errors that the gateway makes itself. Names fit `google.rpc.ErrorInfo.reason`
 * (`[A-Z][A-Z0-9_]+[A-Z0-9]`, at most 63 characters) and are part of the public interface: never rename one.
 *
 * Where something is too large the code is RESOURCE_EXHAUSTED, as in gRPC implementations. An upstream that
 * breaks the protocol is INTERNAL and not UNAVAILABLE, because the call may have run and must not look safe to retry.
 */
export const reasons = {
  CREDENTIALS_MISSING: unauthenticated(
    "The route requires authentication, and the request has no credentials.",
  ),
  CREDENTIALS_INVALID: unauthenticated(
    "None of the route's providers accepts the credentials of the request.",
  ),
  TOKEN_EXPIRED: unauthenticated("The token has expired; a new one is needed."),
  TOKEN_MALFORMED: unauthenticated("The credential is not a well-formed token."),
  TOKEN_NOT_YET_VALID: unauthenticated("The token is not valid yet."),
  TOKEN_REVOKED: unauthenticated("The token was revoked by its issuer."),
  AUTH_UNAVAILABLE: unavailable("The credentials cannot be verified right now."),
  ROUTE_NOT_FOUND: notFound("No route has this path."),
  METHOD_NOT_ALLOWED: unimplemented("Routes with this path exist, but for other methods; Allow lists them."),
  LOGIN_INVALID: invalidArgument(
    "The response of the issuer belongs to no login that this browser has begun in the last minutes, or is not valid.",
  ),
  MALFORMED_PATH: invalidArgument("The path has invalid percent-encoding or is not valid UTF-8."),
  MALFORMED_QUERY: invalidArgument(
    "The query has invalid percent-encoding, is not valid UTF-8 or has a key that cannot be read.",
  ),
  MALFORMED_JSON: invalidArgument("The body is not valid JSON in UTF-8."),
  MALFORMED_FORM: invalidArgument("The body is not the form that its content type announces."),
  DUPLICATE_KEY: invalidArgument("A JSON object has the same key twice, or names one field twice."),
  TOO_DEEP: invalidArgument("The value is nested deeper than the gateway reads."),
  INVALID_VALUE: invalidArgument("A value does not fit the type of its field."),
  UNKNOWN_FIELD: invalidArgument("The body names a field that the request message does not have."),
  UNKNOWN_PARAMETER: invalidArgument(
    "The query names a field that the request message does not have, or that the query may not set.",
  ),
  ONEOF_CONFLICT: invalidArgument("Two fields of one oneof are set."),
  FIELD_COLLISION: invalidArgument(
    "The query or the body sets a field that the path binds, to another value.",
  ),
  REPEATED_PARAMETER: invalidArgument(
    "A query parameter is given more than once, but its field takes one value.",
  ),
  UNEXPECTED_BODY: invalidArgument("The request has a body, but its route takes none."),
  VALIDATION_FAILED: invalidArgument(
    "The request breaks rules that its message declares; the details name each field.",
  ),
  IDENTITY_MISMATCH: permissionDenied(
    "The request is for a token of another identity than the caller's own.",
  ),
  PARTICIPANT_REMOVED: permissionDenied(
    "The identity was removed from the LiveKit room; until the tokens from before have ended it gets no other.",
  ),
  WEBHOOK_REJECTED: unauthenticated(
    "The webhook is not signed with the LiveKit key that the gateway has, or its signature is too old.",
  ),
  WEBHOOK_FAILED: unavailable("The webhook could not be delivered; its sender may send it again."),
  BODY_TOO_LARGE: resourceExhausted("The body is larger than the gateway accepts.", 413),
  REQUEST_TOO_LARGE: resourceExhausted("The request message is larger than the upstream accepts.", 413),
  URI_TOO_LONG: resourceExhausted("The path and query together are longer than the gateway accepts.", 414),
  UNSUPPORTED_MEDIA_TYPE: invalidArgument(
    "The route does not read bodies of this content type or encoding.",
    415,
  ),
  UNSUPPORTED_ENCODING: unimplemented(
    "Messages are compressed in a way that the gateway does not read; a header lists those that it does.",
    415,
  ),
  UNSUPPORTED_VERSION: invalidArgument(
    "The request is in a version of its protocol that the gateway does not speak.",
  ),
  MALFORMED_ENVELOPE: invalidArgument(
    "The body is not made of messages as its protocol frames them, or a compressed message is broken.",
  ),
  UNEXPECTED_COMPRESSION: internal(
    "A message is marked as compressed, but the request names no encoding.",
    400,
  ),
  MESSAGE_COUNT: unimplemented(
    "The method takes exactly one request message, and the body has none or several.",
    400,
  ),
  NOT_ACCEPTABLE: invalidArgument(
    "The route cannot respond in any of the content types that the client accepts.",
    406,
  ),
  ACCESS_DENIED: permissionDenied("An external authorization service does not allow the request."),
  LOGIN_REFUSED: permissionDenied("The issuer has refused the login, or its user cannot have a session."),
  POLICY_DENIED: permissionDenied("A policy does not let this caller do this."),
  SCOPE_MISSING: permissionDenied("The caller's credential does not have the scopes that a policy requires."),
  RATE_LIMITED: resourceExhausted(
    "The caller sends requests faster than a rate limit allows; Retry-After says when the next may pass.",
  ),
  TOO_MANY_CONCURRENT: resourceExhausted("The caller has as many requests under way as a limit allows."),
  RATE_LIMIT_UNAVAILABLE: unavailable(
    "The store that counts requests does not respond, and the limit is configured to refuse requests then.",
  ),
  ORIGIN_NOT_ALLOWED: permissionDenied("A page of this origin may not open a WebSocket here."),
  UPGRADE_REQUIRED: invalidArgument(
    "The path is that of a WebSocket, but the request is no upgrade to one of version 13.",
    426,
  ),
  WEBSOCKET_NOT_SUPPORTED: invalidArgument(
    "The request is an upgrade to a WebSocket, but the method of its route does not stream.",
  ),
  TOO_MANY_CONNECTIONS: unavailable("The gateway has as many WebSockets open as its limit allows."),
  SESSION_NOT_FOUND: notFound("No session without a WebSocket has this secret, or it has ended."),
  NUMBER_SKIPPED: aborted("A request with frames has not the number that follows the last one."),
  BINARY_FRAME: invalidArgument("The frame is binary; the socket reads JSON in text frames."),
  UNKNOWN_TYPE: invalidArgument("The frame has a type that the socket does not know."),
  NOT_A_MEMBER: permissionDenied("Only members of the room may do this; join it first."),
  FROM_MISMATCH: permissionDenied("The frame names another sender than its own."),
  TOO_MANY_ROOMS: resourceExhausted("The socket is in as many rooms as its limit allows."),
  NO_SUCH_ROOM: notFound("No room can have this name."),
  NOT_ALLOWED_IN_ROOM: permissionDenied("The kind of the room does not allow this."),
  BANNED: permissionDenied("A server has removed the user from the room for a time."),
  ROOM_FULL: resourceExhausted("The room has as many members as its limit allows."),
  TOO_MANY_PENDING: resourceExhausted(
    "Too many frames of the socket wait for the backend that decides on them.",
  ),
  MISDIRECTED_REQUEST: permissionDenied(
    "The Host header names a host that this listener does not serve.",
    421,
  ),
  HEADERS_TOO_LARGE: resourceExhausted("The request headers are larger than the gateway accepts.", 431),
  MISSING_HEADER: invalidArgument("The request lacks a header that its route requires."),
  INVALID_HEADER: invalidArgument("A request header has a value that cannot be read or passed on."),
  INVALID_TIMEOUT: invalidArgument("The grpc-timeout or x-request-timeout header is malformed."),
  MALFORMED_REQUEST: invalidArgument("The request is not valid HTTP."),
  REQUEST_TIMEOUT: deadlineExceeded("The client did not send its whole request in time."),
  CLIENT_CLOSED: cancelled("The client disconnected before there was a response."),
  UPSTREAM_UNAVAILABLE: unavailable(
    "No endpoint of the upstream could be reached, or it did not respond; the message says whether the call may have been processed.",
  ),
  UPSTREAM_TIMEOUT: deadlineExceeded("The upstream did not respond in time.", 504),
  UPSTREAM_PROTOCOL: internal(
    "The upstream broke the gRPC or HTTP/2 protocol; whether the call ran is not known.",
  ),
  UPSTREAM_ENCODING: internal(
    "The upstream does not accept compressed messages, though its `compression` is configured.",
    500,
  ),
  UPSTREAM_MALFORMED_MESSAGE: internal(
    "The upstream sent bytes that are not the message its method declares.",
  ),
  RESPONSE_TOO_LARGE: resourceExhausted(
    "The response of the upstream is larger than the gateway accepts.",
    502,
  ),
  DOCUMENT_TOO_LARGE: outOfRange(
    "The OpenAPI document of so many services is larger than the gateway makes one; those of fewer can be had.",
  ),
  STREAMING_NOT_SUPPORTED: unimplemented("The method streams, which this route cannot carry.", 501),
  METHOD_NOT_CALLABLE: notFound("Sockets may not call this method, or there is none of that name."),
  CALL_ID_IN_USE: alreadyExists("A call with this id is under way on the socket."),
  CALL_CANCELLED: cancelled("The client cancelled the call."),
  TOO_MANY_CALLS: resourceExhausted(
    "The socket, or all sockets together, have as many calls under way as the gateway allows.",
  ),
  BROKER_UNAVAILABLE: unavailable(
    "The broker of realtime messages cannot be reached; a message with an id may be sent again.",
  ),
  STARTING: unavailable("The gateway is starting and does not know yet what it serves."),
  SHUTTING_DOWN: unavailable("The gateway is shutting down and accepts no new requests."),
  INTERNAL: internal("The gateway failed in a way it did not foresee; its log says more.", 500),
} as const;

/** The name of an error that the gateway makes itself. */
export type Reason = keyof typeof reasons;
