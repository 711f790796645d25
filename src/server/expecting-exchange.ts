import type { IncomingMessage, ServerResponse } from "node:http";
import type { Passed, PassThrough } from "../upstream/pass-through.js";
import type { HeaderList } from "./exchange.js";
import { NodeExchange } from "./node/node-exchange.js";

/**
 * An exchange whose client waits to be asked for the body with `100 Continue` (RFC 9110 §10.1.1). It is asked when the
 * body is to be read; one that is refused before stays with the client.
 */
export class ExpectingExchange extends NodeExchange {
  readonly #response: ServerResponse;
  readonly #length: number;

  constructor(request: IncomingMessage, response: ServerResponse, target: string, patience: number) {
    super(request, response, target, patience);
    this.#response = response;
    this.#length = Number(request.headers["content-length"] ?? 0);
  }

  override body(limit: number): Uint8Array | Promise<Uint8Array> {
    if (this.#length <= limit) this.#ask();
    return super.body(limit);
  }

  override passOn(application: PassThrough, passed: Passed, replyHeaders: HeaderList): Promise<number> {
    this.#ask();
    return super.passOn(application, passed, replyHeaders);
  }

  #ask(): void {
    if (!this.#response.destroyed) this.#response.writeContinue();
  }
}
