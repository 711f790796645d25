import type { IncomingMessage } from "node:http";
import { Transform, type TransformCallback } from "node:stream";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { Passed } from "./pass-through-request.js";

const bodies = new WeakMap<IncomingMessage, PassedBody>();

/**
 * The body of a request on its way to the backend, counted. It fails with a GatewayError: BODY_TOO_LARGE beyond the
 * limit, CLIENT_CLOSED where the client leaves before its end, and what `cutBody` is told.
 */
export function passedBody(request: IncomingMessage, about: Passed): Transform {
  const body = new PassedBody(about);
  bodies.set(request, body);
  request.pipe(body);
  // A pipe ends what it leads to only with a good end: the backend would wait for the rest.
  request.once("close", () => {
    if (!request.readableEnded) body.destroy(new GatewayError(clientLeft()));
  });
  // Nobody else listens before it is sent, nor once the backend has answered.
  body.on("error", () => undefined);
  return body;
}

/** The rest of the body will not come. */
export function cutBody(request: IncomingMessage, failure: Failure): void {
  bodies.get(request)?.destroy(new GatewayError(failure));
}

export function clientLeft(): Failure {
  return gatewayFailure("CLIENT_CLOSED", "the client left before its request was answered");
}

/** Passes so many bytes, then fails. */
class PassedBody extends Transform {
  readonly #about: Passed;
  #left: number;

  constructor(about: Passed) {
    super();
    this.#about = about;
    this.#left = about.bodyLimit;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#left -= chunk.length;
    this.#about.received(chunk.length);
    if (this.#left >= 0) done(null, chunk);
    else done(new GatewayError(gatewayFailure("BODY_TOO_LARGE", "the body is larger than the route takes")));
  }
}
