import type { Caller, ClientCertificate } from "../../auth/caller.js";
import type { RequestOrigins } from "../../auth/request-origins.js";
import { bearer, bearerToken, offeredProtocols } from "../../net/bearer.js";
import type { Span } from "../../telemetry/tracing/span.js";

/**
 * A request for a WebSocket. As a caller it shows the token of the subprotocol as if it stood in `authorization`, and the
 * cookies of those pages alone that may open a socket for their users.
 */
export class SocketRequest implements Caller {
  readonly #caller: Caller;
  readonly #token: string | undefined;
  readonly #origins: RequestOrigins;
  readonly method = "GET";
  /** The subprotocol of the response; empty for none. */
  readonly protocol: string;

  /** @param origins `RealtimeSettings.origins` */
  constructor(
    caller: Caller,
    origins: RequestOrigins,
    readonly span: Span | undefined,
  ) {
    this.#caller = caller;
    this.#origins = origins;
    const protocols = caller.header("sec-websocket-protocol");
    const offered = offeredProtocols(protocols);
    this.#token = bearerToken(protocols);
    this.protocol = offered.includes(bearer) ? bearer : offered.includes("chat") ? "chat" : "";
  }

  get clientAddress(): string {
    return this.#caller.clientAddress;
  }

  get path(): string {
    return this.#caller.path;
  }

  get query(): string {
    return this.#caller.query;
  }

  get encrypted(): boolean {
    return this.#caller.encrypted;
  }

  header(name: string): string | undefined {
    const value = this.#caller.header(name);
    if (name === "authorization" && value === undefined && this.#token !== undefined)
      return `Bearer ${this.#token}`;
    return value;
  }

  cookies(): string | undefined {
    return this.#origins.cookies(this);
  }

  certificate(): ClientCertificate | undefined {
    return this.#caller.certificate();
  }
}
