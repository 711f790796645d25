import type { Caller, ClientCertificate } from "../auth/caller.js";
import type { RequestOrigins } from "../auth/request-origins.js";
import { bearerToken } from "../net/bearer-protocol.js";
import { clientAddress } from "../net/client-address.js";
import type { Exchange } from "../server/exchange.js";

/** An exchange as guards see it. */
export class ExchangeCaller implements Caller {
  readonly #exchange: Exchange;
  readonly #origins: RequestOrigins;

  constructor(exchange: Exchange, origins: RequestOrigins) {
    this.#exchange = exchange;
    this.#origins = origins;
  }

  get clientAddress(): string {
    const { remoteAddress } = this.#exchange;
    const { trustedHops } = this.#origins;
    if (trustedHops === 0) return remoteAddress;
    return clientAddress(remoteAddress, this.#exchange.header("x-forwarded-for"), trustedHops);
  }

  get query(): string {
    return this.#exchange.query;
  }

  get encrypted(): boolean {
    return this.#exchange.encrypted;
  }

  header(name: string): string | undefined {
    const value = this.#exchange.header(name);
    if (value !== undefined || name !== "authorization" || !this.#exchange.upgrade) return value;
    const token = bearerToken(this.#exchange.header("sec-websocket-protocol"));
    return token === undefined ? undefined : `Bearer ${token}`;
  }

  cookies(): string | undefined {
    return this.#origins.cookies(this.#exchange);
  }

  certificate(): ClientCertificate | undefined {
    return this.#exchange.certificate?.();
  }
}
