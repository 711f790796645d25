import { stateChanged } from "../../net/state-changes.js";
import { Code } from "../../status/code.js";
import { varintField } from "../../wire/reader.js";
import { WireWriter } from "../../wire/writer.js";
import { Backoff } from "../backoff.js";
import { noMetadata } from "../channel.js";
import type { StreamOutcome, TransportListener, TransportStream } from "../transport.js";
import type { Endpoint } from "./endpoint.js";

/** Milliseconds before a broken watch is opened again, at first and at most. */
const firstPauseMs = 1_000;
const maxPauseMs = 30_000;

/** `grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING` */
const serving = 1;

/**
 * Follows the health that an endpoint reports (`grpc.health.v1.Health/Watch`) and keeps `endpoint.healthy` in step.
 * While nothing is known, because the watch broke or the endpoint does not know the protocol, it counts as healthy:
 * whether it can be reached is for the transport to decide.
 */
export class HealthWatch implements TransportListener {
  readonly #endpoint: Endpoint;
  readonly #request: Uint8Array;
  readonly #backoff = new Backoff(firstPauseMs, maxPauseMs);
  #stream: TransportStream | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Starts at once. `service` is empty for the server as a whole. */
  constructor(endpoint: Endpoint, service: string) {
    this.#endpoint = endpoint;
    const request = new WireWriter();
    request.string(1, service);
    this.#request = request.finish();
    this.#start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stream?.cancel();
  }

  onHeaders(): void {}

  onWritten(): void {}

  onMessage(message: Uint8Array): void {
    this.#setHealthy(servingStatus(message) === serving);
    this.#backoff.reset();
    this.#stream?.read();
  }

  onEnd({ status }: StreamOutcome): void {
    this.#stream = undefined;
    this.#setHealthy(true);
    const pause = status.code === Code.UNIMPLEMENTED ? maxPauseMs : this.#backoff.next();
    this.#timer = setTimeout(() => this.#start(), pause).unref();
  }

  #setHealthy(healthy: boolean): void {
    this.#endpoint.healthy = healthy;
    stateChanged();
  }

  #start(): void {
    const call = {
      path: "/grpc.health.v1.Health/Watch",
      metadata: noMetadata,
      timeout: undefined,
      previousAttempts: 0,
    };
    this.#stream = this.#endpoint.transport.start(call, this);
    this.#stream.send(this.#request);
    this.#stream.end();
    this.#stream.read();
  }
}

/** Field 1 of a HealthCheckResponse; undefined where the bytes are none. */
function servingStatus(message: Uint8Array): number | undefined {
  try {
    return varintField(message, 1) ?? 0;
  } catch {
    return undefined;
  }
}
