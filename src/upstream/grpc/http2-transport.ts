import type { KeepaliveOptions } from "../../h2/keepalive.js";
import type { EndpointAddress, UpstreamTarget } from "../balancing/target.js";
import { createSecrets, openSocket, type Secrets } from "../connect.js";
import { ConnectionPool } from "../connection-pool.js";
import type { ChannelOptions } from "../options.js";
import type {
  Transport,
  TransportCall,
  TransportListener,
  TransportStream,
  TransportType,
} from "../transport.js";
import { CallStream } from "./call-stream.js";
import { ClientConnection, type ConnectionHost } from "./connection.js";
import { checkHead, RequestHeads } from "./request-head.js";

/** Milliseconds between pings, however often the peer finds them too many. */
const maxKeepaliveMs = 3_600_000;
/** Connections to one address, where the peer takes too few streams on each. */
const maxConnections = 8;

/** `transport: lean` */
export const http2Transport: TransportType = {
  protocol: "grpc",
  connector(options) {
    const secrets = createSecrets(options, "h2");
    return (address, target, onFailing) => new Http2Transport(address, target, secrets, options, onFailing);
  },
};

/** gRPC over our own HTTP/2 connections. */
export class Http2Transport
  extends ConnectionPool<CallStream, ClientConnection>
  implements Transport, ConnectionHost
{
  readonly #address: EndpointAddress;
  readonly #target: UpstreamTarget;
  readonly #secrets: Secrets | undefined;
  readonly #maxMessageSize: number;
  readonly #heads: RequestHeads;
  /** For calls whose callers set their encodings themselves. */
  readonly #bareHeads: RequestHeads;
  #keepalive: KeepaliveOptions | undefined;

  /** `onFailing` is called when connecting has failed. */
  constructor(
    address: EndpointAddress,
    target: UpstreamTarget,
    secrets: Secrets | undefined,
    options: ChannelOptions,
    onFailing: () => void,
  ) {
    super(maxConnections, onFailing);
    this.#address = address;
    this.#target = target;
    this.#secrets = secrets;
    this.#maxMessageSize = options.maxMessageSize;
    this.#keepalive = options.keepalive;
    const origin = {
      secure: secrets !== undefined,
      authority: secrets?.serverName ?? target.authority,
      userAgent: options.userAgent ?? "protogate",
    };
    this.#heads = new RequestHeads({ ...origin, accepted: "identity,gzip" });
    this.#bareHeads = new RequestHeads({ ...origin, accepted: undefined });
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    const block = (call.passed === undefined ? this.#heads : this.#bareHeads).block(call.path);
    const size = checkHead(block, call.metadata);
    const stream = new CallStream(call, listener, this.#maxMessageSize, block, size);
    this.assign(stream);
    return stream;
  }

  onTooManyPings(): void {
    const keepalive = this.#keepalive;
    if (keepalive !== undefined)
      this.#keepalive = { ...keepalive, time: Math.min(2 * keepalive.time, maxKeepaliveMs) };
  }

  protected open(): ClientConnection {
    return new ClientConnection(
      handlers => openSocket(this.#address, this.#target, this.#secrets, handlers),
      this.#keepalive,
      this,
    );
  }
}
