import type { TrpcMethod } from "../../../src/demo/trpc/server.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import type { Channel, UnaryCall, UnaryResult } from "../../../src/upstream/channel.js";
import {
  type ChannelOptions,
  createChannel,
  type UpstreamObserver,
} from "../../../src/upstream/create-channel.js";

/** A channel of tRPC to these addresses. */
export function trpcChannel(
  targets: readonly string[],
  options: Partial<ChannelOptions> = {},
  observer?: UpstreamObserver,
): Channel {
  return createChannel(
    {
      name: "test",
      targets,
      balancing: "round_robin",
      transport: "trpc",
      maxMessageSize: 1 << 20,
      ...options,
    },
    observer,
  );
}

/** Calls a method of `test.Service` with the request. */
export function call(
  channel: Channel,
  method: string,
  request: string | Uint8Array = "",
  options: Partial<UnaryCall> = {},
): Promise<UnaryResult> {
  return channel.unary({
    path: `/test.Service/${method}`,
    request: typeof request === "string" ? Buffer.from(request) : request,
    metadata: [],
    timeout: 10_000,
    retryable: false,
    cancellation: new Cancellation(),
    ...options,
  });
}

/** The methods of `test.Service`: of the names that are given, and `Echo`, which returns its request. */
export function methods(own: Readonly<Record<string, TrpcMethod>> = {}): ReadonlyMap<string, TrpcMethod> {
  const all: Record<string, TrpcMethod> = { Echo: ({ body }) => ({ body }), ...own };
  return new Map(Object.entries(all).map(([name, method]) => [`/test.Service/${name}`, method]));
}

/** The text of a response. */
export function textOf({ message }: UnaryResult): string | undefined {
  return message === undefined ? undefined : Buffer.from(message).toString();
}
