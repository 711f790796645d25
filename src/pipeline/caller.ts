import type { Caller, ClientCertificate } from "../auth/caller.js";
import type { RequestOrigins } from "../auth/request-origins.js";
import { bearerToken } from "../net/bearer.js";
import { clientAddress } from "../net/forwarded-list.js";
import type { InboundRequest } from "../server/inbound-request.js";
import type { Span } from "../telemetry/tracing/span.js";

/** The caller of a request, as guards see it. */
export class RequestCaller implements Caller {
  readonly #request: InboundRequest;
  readonly #origins: RequestOrigins;

  constructor(
    request: InboundRequest,
    origins: RequestOrigins,
    readonly span?: Span,
  ) {
    this.#request = request;
    this.#origins = origins;
  }

  get clientAddress(): string {
    const { remoteAddress } = this.#request;
    const { trustedHops } = this.#origins;
    if (trustedHops === 0) return remoteAddress;
    return clientAddress(remoteAddress, this.#request.header("x-forwarded-for"), trustedHops);
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return this.#request.path;
  }

  get query(): string {
    return this.#request.query;
  }

  get encrypted(): boolean {
    return this.#request.encrypted;
  }

  header(name: string): string | undefined {
    const value = this.#request.header(name);
    if (value !== undefined || name !== "authorization" || this.#request.upgrade === undefined) return value;
    const token = bearerToken(this.#request.header("sec-websocket-protocol"));
    return token === undefined ? undefined : `Bearer ${token}`;
  }

  cookies(): string | undefined {
    return this.#origins.cookies(this.#request);
  }

  certificate(): ClientCertificate | undefined {
    return this.#request.certificate?.();
  }
}
