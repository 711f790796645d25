import type { Caller, ClientCertificate } from "../auth/caller.js";
import { bearer, bearerToken, offeredProtocols } from "../net/bearer-protocol.js";
import { cookiesCount } from "./origin.js";

/**
 * A request for a WebSocket. As a caller it shows the token of the subprotocol as if it stood in `authorization`, and no
 * cookies that a foreign page could have sent.
 */
export class UpgradeRequest implements Caller {
  readonly #caller: Caller;
  readonly #token: string | undefined;
  readonly #cookies: boolean;
  /** The subprotocol to answer; empty for none. */
  readonly protocol: string;

  /** @param origins `RealtimeSettings.origins` */
  constructor(caller: Caller, origins: readonly string[]) {
    this.#caller = caller;
    const protocols = caller.header("sec-websocket-protocol");
    const offered = offeredProtocols(protocols);
    this.#token = bearerToken(protocols);
    this.protocol = offered.includes(bearer) ? bearer : offered.includes("chat") ? "chat" : "";
    this.#cookies = cookiesCount(caller.header("origin"), origins);
  }

  get clientAddress(): string {
    return this.#caller.clientAddress;
  }

  get query(): string {
    return this.#caller.query;
  }

  get encrypted(): boolean {
    return this.#caller.encrypted;
  }

  header(name: string): string | undefined {
    if (name === "cookie" && !this.#cookies) return undefined;
    const value = this.#caller.header(name);
    if (name === "authorization" && value === undefined && this.#token !== undefined)
      return `Bearer ${this.#token}`;
    return value;
  }

  certificate(): ClientCertificate | undefined {
    return this.#caller.certificate();
  }
}
