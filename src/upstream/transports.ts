import { grpcJsTransport } from "./grpc/grpc-js-transport.js";
import { http2Transport } from "./grpc/http2-transport.js";
import type { TransportKind } from "./options.js";
import type { TransportType } from "./transport.js";
import { trpcTransport } from "./trpc/trpc-transport.js";

/** Every transport that an upstream can select. One that needs a package loads it when its connector is made. */
export const transports: Readonly<Record<TransportKind, TransportType>> = {
  lean: http2Transport,
  "grpc-js": grpcJsTransport,
  trpc: trpcTransport,
};
