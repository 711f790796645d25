import type { BoundRoutes } from "../bindings/binding.js";
import { gatewayFailure } from "../status/failure.js";
import type { RpcStream } from "./rpc-stream.js";

/** The streams that are open, so that they can be ended when their time is over. */
export class OpenStreams {
  readonly #streams = new Map<RpcStream, BoundRoutes>();

  /** @param routes the generation that the stream belongs to */
  add(stream: RpcStream, routes: BoundRoutes): void {
    this.#streams.set(stream, routes);
  }

  delete(stream: RpcStream): void {
    this.#streams.delete(stream);
  }

  get size(): number {
    return this.#streams.size;
  }

  /**
   * Ends streams in band, with SHUTTING_DOWN.
   * @param generation of their routes; undefined: all
   */
  end(generation?: object): void {
    const failure = gatewayFailure(
      "SHUTTING_DOWN",
      "the time that streams have to end is over; connect again",
    );
    for (const [stream, owner] of this.#streams)
      if (generation === undefined || owner.generation === generation) stream.abort(failure);
  }
}
