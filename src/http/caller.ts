import type { Caller, ClientCertificate } from "../auth/caller.js";
import { bearerToken } from "../net/bearer-protocol.js";
import { clientAddress } from "../net/client-address.js";
import type { Exchange } from "./exchange.js";

/** An exchange as guards see it. */
export class ExchangeCaller implements Caller {
  readonly #exchange: Exchange;
  readonly #trustedHops: number;

  constructor(exchange: Exchange, trustedHops: number) {
    this.#exchange = exchange;
    this.#trustedHops = trustedHops;
  }

  get clientAddress(): string {
    const { remoteAddress } = this.#exchange;
    if (this.#trustedHops === 0) return remoteAddress;
    return clientAddress(remoteAddress, this.#exchange.header("x-forwarded-for"), this.#trustedHops);
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

  certificate(): ClientCertificate | undefined {
    return this.#exchange.certificate?.();
  }
}
