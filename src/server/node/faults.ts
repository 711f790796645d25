import type { IncomingMessage, ServerResponse } from "node:http";
import { type EngineOptions, refusal } from "../engine.js";
import { BodyTimeoutError, bodyCutShort, MalformedBodyError } from "../inbound-request.js";
import { type Fault, maxPipelined } from "./node-connections.js";

/** Requests that Node.js accepts and the gateway refuses. */
export function fault(request: IncomingMessage, underWay: number, options: EngineOptions): Fault | undefined {
  const coding = request.headers["transfer-encoding"];
  // Node.js takes other codings before `chunked` and leaves them in the body.
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return ["MALFORMED_REQUEST", "transfer codings other than chunked are not read"];
  }
  if (request.httpVersionMajor < 1) {
    return ["MALFORMED_REQUEST", "the request line has no version of HTTP"];
  }
  if (underWay >= maxPipelined) {
    return ["MALFORMED_REQUEST", `a connection may have ${maxPipelined} requests under way`];
  }
  const { rawHeaders } = request;
  let size = 0;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    size += name.length + (rawHeaders[index + 1] as string).length;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (size > options.headerLimit) return tooLarge(options);
  if (hosts > 1 || (hosts === 0 && request.httpVersion === "1.1")) {
    return ["MALFORMED_REQUEST", "expected one Host header (RFC 9112 §3.2)"];
  }
  return undefined;
}

export function tooLarge(options: EngineOptions): Fault {
  return ["HEADERS_TOO_LARGE", `request headers are limited to ${options.headerLimit} bytes`];
}

export function bodyError(code: string | undefined): Error {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new BodyTimeoutError();
  // The peer ended its side in the middle of the body.
  if (code === "HPE_INVALID_EOF_STATE") return bodyCutShort();
  return new MalformedBodyError();
}

/** Behind the replies that are due before it. */
export function refuseInTurn(
  response: ServerResponse,
  [reason, message]: Fault,
  { refused, requestTimeout }: EngineOptions,
): void {
  const { failure, body } = refusal(reason, message);
  refused(failure);
  response.writeHead(failure.httpStatus, reason, {
    "content-type": "application/json",
    connection: "close",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
  // Behind other responses, the wait is not the client's fault.
  if (response.socket !== null && response.writableLength > 0) response.socket.setTimeout(requestTimeout);
}
