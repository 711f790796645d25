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
import { TrpcCall } from "./call.js";
import { type ConnectionSettings, TrpcConnection, type TrpcConnectionHost } from "./connection.js";
import { checkHeader, RequestHeaders } from "./request-header.js";

/** Connections to one address, where one has too many calls under way. */
const maxConnections = 8;
const defaultKeepaliveMs = 30_000;
const defaultSilenceMs = 3_000;
/** How the gateway names itself to servers, in the four parts of tRPC's names. */
const defaultCaller = "trpc.protogate.gateway.http";

/** `protocol: trpc` */
export const trpcTransport: TransportType = {
  protocol: "trpc",
  connector(options) {
    const secrets = createSecrets(options);
    const { caller = defaultCaller, callee, oneWay = [] } = options.trpc ?? {};
    const headers = new RequestHeaders({ caller, callee, oneWay: new Set(oneWay) });
    return (address, target, onFailing) =>
      new TrpcTransport({ address, target, secrets, headers }, options, onFailing);
  },
};

interface Origin {
  readonly address: EndpointAddress;
  readonly target: UpstreamTarget;
  readonly secrets: Secrets | undefined;
  readonly headers: RequestHeaders;
}

/** tRPC over connections that many calls share. */
class TrpcTransport
  extends ConnectionPool<TrpcCall, TrpcConnection>
  implements Transport, TrpcConnectionHost
{
  readonly #origin: Origin;
  readonly #settings: ConnectionSettings;

  constructor(origin: Origin, { maxMessageSize, keepalive }: ChannelOptions, onFailing: () => void) {
    super(maxConnections, onFailing);
    this.#origin = origin;
    this.#settings = {
      maxMessageSize,
      keepaliveMs: keepalive?.time ?? defaultKeepaliveMs,
      maxSilenceMs: keepalive?.timeout ?? defaultSilenceMs,
    };
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    const block = this.#origin.headers.block(call.path);
    checkHeader(block, call.metadata);
    const started = new TrpcCall(call, block, listener);
    this.assign(started);
    return started;
  }

  protected open(): TrpcConnection {
    const { address, target, secrets } = this.#origin;
    return new TrpcConnection(
      handlers => openSocket(address, target, secrets, handlers),
      this.#settings,
      this,
    );
  }
}
