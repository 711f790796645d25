import { errorMessage } from "../net/error-text.js";
import { Code } from "../status/code.js";
import { type Balancer, createBalancer } from "./balancing/balancer.js";
import { type Endpoint, EndpointSet } from "./balancing/endpoint.js";
import { HealthWatch } from "./balancing/health.js";
import type { CallHost } from "./call/open-call.js";
import { RetryPolicy } from "./call/retry.js";
import { openStream } from "./call/stream.js";
import { callUnary } from "./call/unary.js";
import {
  type Channel,
  type EndpointState,
  noMetadata,
  type StreamCall,
  type StreamHandle,
  type UnaryCall,
  type UnaryResult,
} from "./channel.js";
import type { ChannelOptions, UpstreamObserver } from "./options.js";
import { type RpcProtocol, rpcProtocols } from "./protocols.js";
import { transports } from "./transports.js";

export type { ChannelOptions, UpstreamObserver } from "./options.js";

/**
 * Opens a channel to an upstream. Names are resolved at once; connections are made by the first calls, or by the
 * health checks where there are any.
 * @throws Error naming the upstream where a target cannot be parsed or the TLS material cannot be used
 */
export function createChannel(options: ChannelOptions, observer?: UpstreamObserver): Channel {
  try {
    return new BalancedChannel(options, observer);
  } catch (error) {
    const message = errorMessage(error);
    throw new Error(`upstream "${options.name}": ${message}`, { cause: error });
  }
}

class BalancedChannel implements Channel, CallHost {
  readonly protocol: RpcProtocol;
  readonly streams: boolean;
  readonly maxMessageSize: number;
  readonly compressFrom: number | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly observer: UpstreamObserver | undefined;
  readonly #balancer: Balancer;
  readonly #endpoints: EndpointSet;
  readonly #watches = new Map<Endpoint, HealthWatch>();
  #open = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(options: ChannelOptions, observer: UpstreamObserver | undefined) {
    const { retry, health } = options;
    this.maxMessageSize = options.maxMessageSize;
    this.compressFrom = options.compressFrom;
    this.retry = retry === undefined ? undefined : new RetryPolicy(retry);
    this.observer = observer;
    this.#balancer = createBalancer(options.balancing);
    const transport = transports[options.transport];
    this.protocol = transport.protocol;
    this.streams = rpcProtocols[this.protocol].streams;
    const connect = transport.connector(options);
    this.#endpoints = new EndpointSet({
      targets: options.targets,
      connect: (address, target) => connect(address, target, () => this.#endpoints.refresh()),
      onAdded: endpoint => {
        if (health !== undefined) this.#watches.set(endpoint, new HealthWatch(endpoint, health.service));
      },
      onRemoved: endpoint => {
        this.#watches.get(endpoint)?.stop();
        this.#watches.delete(endpoint);
      },
    });
  }

  unary(call: UnaryCall): Promise<UnaryResult> {
    return new Promise(resolve => this.begin(call, resolve));
  }

  begin(call: UnaryCall, onResult: (result: UnaryResult) => void): void {
    callUnary(this.#admit(), call, onResult);
  }

  stream(call: StreamCall): StreamHandle {
    return this.streams ? openStream(this.#admit(), call) : refusedStream(call);
  }

  state(): EndpointState[] {
    return this.#endpoints.list.map(({ address, state, pending }) => ({ address, state, pending }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  pick(avoid: readonly Endpoint[]): Endpoint | undefined {
    return this.#balancer.pick(this.#endpoints.list, avoid);
  }

  resolving(): Promise<unknown> | undefined {
    if (this.#endpoints.list.length > 0) return undefined;
    this.#endpoints.refresh();
    return this.#endpoints.resolving;
  }

  unavailable(): string {
    if (this.#endpoints.list.length > 0) return "every endpoint reports that it is not serving";
    return this.#endpoints.failure;
  }

  callEnded(): void {
    this.#open--;
    if (this.#open === 0) this.#onIdle?.();
  }

  /** Counts a new call. After `close` it goes nowhere. */
  #admit(): CallHost {
    this.#open++;
    if (!this.#closed) return this;
    return {
      protocol: this.protocol,
      maxMessageSize: this.maxMessageSize,
      compressFrom: undefined,
      retry: undefined,
      observer: this.observer,
      pick: () => undefined,
      resolving: () => undefined,
      unavailable: () => "the channel is closed",
      callEnded: () => this.callEnded(),
    };
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (this.#open > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve;
      });
    }
    this.#endpoints.close();
  }
}

/** A stream on an upstream that carries none. */
function refusedStream({ onEnd }: StreamCall): StreamHandle {
  const message = "the protocol of the upstream has no streams here";
  queueMicrotask(() => onEnd({ code: Code.UNIMPLEMENTED, message, origin: "streams" }, noMetadata));
  return { send: () => false, end: () => {}, pause: () => {}, resume: () => {} };
}
