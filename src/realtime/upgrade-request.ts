import type { HttpRequest } from "uWebSockets.js";
import type { Caller, ClientCertificate } from "../auth/caller.js";
import { bearer, bearerToken, offeredProtocols } from "../net/bearer-protocol.js";
import { cookiesCount } from "./origin.js";

/** What surrounds a request for a WebSocket. */
export interface UpgradeSurroundings {
  readonly clientAddress: string;
  readonly encrypted: boolean;
  /** `RealtimeSettings.origins` */
  readonly origins: readonly string[];
}

/**
 * A request for a WebSocket, copied while uWebSockets.js lets it be read. As a caller it shows the token of the
 * subprotocol as if it stood in `authorization`, and no cookies that a foreign page could have sent.
 */
export class UpgradeRequest implements Caller {
  readonly query: string;
  readonly clientAddress: string;
  readonly encrypted: boolean;
  /** The subprotocol to answer; empty for none. */
  readonly protocol: string;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #token: string | undefined;
  readonly #cookies: boolean;

  constructor(headers: ReadonlyMap<string, string>, query: string, surroundings: UpgradeSurroundings) {
    this.query = query;
    this.clientAddress = surroundings.clientAddress;
    this.encrypted = surroundings.encrypted;
    this.#headers = headers;
    const protocols = headers.get("sec-websocket-protocol");
    const offered = offeredProtocols(protocols);
    this.#token = bearerToken(protocols);
    this.protocol = offered.includes(bearer) ? bearer : offered.includes("chat") ? "chat" : "";
    this.#cookies = cookiesCount(headers.get("origin"), surroundings.origins);
  }

  header(name: string): string | undefined {
    const value = this.#headers.get(name);
    if (name === "authorization" && value === undefined && this.#token !== undefined)
      return `Bearer ${this.#token}`;
    return name === "cookie" && !this.#cookies ? undefined : value;
  }

  certificate(): ClientCertificate | undefined {
    return undefined;
  }
}

/** Headers by lower-case name; several lines of one are joined. */
export function headersOf(request: HttpRequest): Map<string, string> {
  const headers = new Map<string, string>();
  request.forEach((name, value) => {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}${name === "cookie" ? ";" : ","} ${value}`);
  });
  return headers;
}
