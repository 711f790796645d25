import type { FastifyReply } from "fastify";
import { statusDialect } from "../dialects/status.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { passed } from "./pass-through-request.js";

/** Answers in place of a backend. */
export function refuse(reply: FastifyReply, failure: Failure): FastifyReply {
  const { raw, url } = reply.request;
  passed.get(raw)?.failed(failure);
  const context = { requestId: "", path: url.split("?", 1)[0] ?? url };
  // What a backend said of a body that does not come.
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name);
  const rendered = statusDialect.renderFailure(failure, [], context);
  // A request whose body was not read to its end cannot share the connection with another one.
  if (!raw.complete) reply.header("connection", "close");
  return reply.code(rendered.status).type(rendered.contentType).send(rendered.body);
}

/** What an exchange with a backend failed of. `@fastify/reply-from` keeps the error itself as the cause of its own. */
export function backendFailure(error: Error & { code?: string }): Failure {
  const cause = error.cause instanceof Error ? (error.cause as typeof error) : error;
  if (cause instanceof GatewayError) return cause.failure;
  const code = cause.code ?? error.code ?? "";
  if (notReached.has(code) || notTrusted.test(code))
    return gatewayFailure("UPSTREAM_UNAVAILABLE", "no endpoint of the upstream could be reached");
  if (timedOut.test(code)) return gatewayFailure("UPSTREAM_TIMEOUT", "the upstream did not answer in time");
  return gatewayFailure("UPSTREAM_PROTOCOL", "the upstream broke the HTTP protocol");
}

/** The request was never sent. */
const notReached: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** What OpenSSL and Node.js say of certificates and handshakes. */
const notTrusted = /CERT|SIGNATURE|ERR_TLS|ERR_SSL/;
const timedOut = /TIMEOUT/;
