import { Agent, type Dispatcher } from "undici";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { PassThroughTls } from "./pass-through.js";

/** How one request reaches its backend. */
export interface BackendRequest {
  /** Path and query. */
  readonly target: string;
  /** Aborted when nobody waits for the response any more. */
  readonly signal: AbortSignal;
}

/** What `@fastify/reply-from` takes as a response; no body where the status or the method has none. */
type Taken = Omit<Dispatcher.ResponseData, "body"> & {
  readonly body: Dispatcher.ResponseData["body"] | undefined;
};

/** The HTTP client of one pass-through prefix, as `@fastify/reply-from` calls it. */
export class BackendClient {
  readonly #agent: Agent;
  #next: BackendRequest | undefined;

  /** @param timeout milliseconds for the head of a response, and between two parts of its body */
  constructor(timeout: number, tls: PassThroughTls | undefined) {
    this.#agent = new Agent({
      connections: 128,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: { rejectUnauthorized: true, ...tls },
    });
  }

  /** Says how the request goes that `request` is called for next, within the same turn. */
  prepare(request: BackendRequest | undefined): void {
    this.#next = request;
  }

  request(
    options: Dispatcher.RequestOptions,
    callback: (error: Error | null, response?: Taken) => void,
  ): void {
    const { target, signal } = this.#next as BackendRequest;
    this.#next = undefined;
    this.#agent.request({ ...options, path: target, signal }, (error, response) => {
      if (error !== null) callback(error);
      else this.#take(options.method, response, callback);
    });
  }

  /** Ends what is under way. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #take(
    method: Dispatcher.HttpMethod,
    response: Dispatcher.ResponseData,
    callback: (error: Error | null, response?: Taken) => void,
  ): void {
    const { statusCode, headers, body } = response;
    if (!isFinalStatus(statusCode)) {
      body.on("error", () => undefined).destroy();
      callback(badStatus(statusCode));
      return;
    }
    if (method !== "HEAD" && statusCode !== 204 && statusCode !== 205 && statusCode !== 304) {
      callback(null, response);
      return;
    }
    // A length that speaks of a body which is not there must not fail the response.
    body.on("error", () => undefined);
    body.dump().catch(() => undefined);
    if (method !== "HEAD" && statusCode !== 304) delete headers["content-length"];
    callback(null, { ...response, body: undefined });
  }
}

/** Whether a status can be that of a response (RFC 9110 section 15). */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

export function badStatus(status: number): GatewayError {
  const message = `the upstream sent the status ${status}; expected 200 to 599`;
  return new GatewayError(gatewayFailure("UPSTREAM_PROTOCOL", message));
}
