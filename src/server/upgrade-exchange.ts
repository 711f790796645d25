import type { IncomingMessage, ServerResponse } from "node:http";
import type { Passed, PassThrough } from "../upstream/pass-through.js";
import { NodeExchange } from "./node/node-exchange.js";

/**
 * An exchange whose client asks for a WebSocket on a path that takes some. Node.js has taken its parser off the
 * connection, so that its response is the last.
 */
export class UpgradeExchange extends NodeExchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #head: Buffer;
  /** Does what Node.js did with its parser. */
  readonly #timedOut = (): void => {
    if (!this.notify("timeout")) this.#request.socket.destroy();
  };

  /** @param head the first bytes behind the request */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
    patience: number,
    head: Buffer,
  ) {
    super(request, response, target, patience);
    this.#request = request;
    this.#response = response;
    this.#head = head;
    request.socket.on("timeout", this.#timedOut);
  }

  override get upgrade(): boolean {
    return true;
  }

  protected override handOver(
    application: PassThrough,
    passed: Passed,
    answered: (status: number) => void,
  ): void {
    application.upgrade(this.#request, { response: this.#response, head: this.#head, answered }, passed);
  }
}
