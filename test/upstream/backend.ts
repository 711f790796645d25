import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Server as NetServer } from "node:net";
import { after } from "node:test";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Cancellation } from "../../src/net/cancellation.js";
import type { Channel, UnaryCall } from "../../src/upstream/channel.js";
import {
  type ChannelOptions,
  createChannel,
  type UpstreamObserver,
} from "../../src/upstream/create-channel.js";
import { rawMethod } from "../raw-method.js";
import { underTest } from "./transport-under-test.js";

// What a failing test leaves open must not keep the process alive.
const leftovers: (() => unknown)[] = [];
after(() => {
  for (const close of leftovers) close();
});

export type UnaryHandler = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => void;
export type StreamHandler = (call: ServerDuplexStream<Buffer, Buffer>) => void;

export interface Backend {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly port: number;
  /** Unary calls that reached the handler. */
  readonly calls: number;
  stop(): void;
}

export interface BackendOptions {
  readonly unary?: UnaryHandler;
  readonly stream?: StreamHandler;
  readonly credentials?: ServerCredentials;
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Adds further services. */
  extend?(server: Server): void;
}

export const unaryPath = "/test.Service/Unary";
export const streamPath = "/test.Service/Stream";

const echo: UnaryHandler = (call, reply) => reply(null, call.request);
const echoStream: StreamHandler = call => {
  call.on("data", message => call.write(message));
  call.on("end", () => call.end());
};

/** A real gRPC server on loopback; echoes unless the options have handlers. */
export async function startBackend(options: BackendOptions = {}): Promise<Backend> {
  const { unary = echo, stream = echoStream, credentials = ServerCredentials.createInsecure() } = options;
  let calls = 0;
  const handlers: UntypedServiceImplementation = {
    unary: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      calls++;
      unary(call, reply);
    },
    stream,
  };
  const server = new Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(
    {
      unary: rawMethod(unaryPath),
      stream: rawMethod(streamPath, true, true),
    },
    handlers,
  );
  options.extend?.(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  leftovers.push(() => server.forceShutdown());
  return {
    address: `127.0.0.1:${port}`,
    port,
    get calls() {
      return calls;
    },
    stop: () => server.forceShutdown(),
  };
}

/** Listens on a free port of loopback. */
export async function listen(server: NetServer): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An address that refuses connections. */
export async function refusingAddress(): Promise<string> {
  const { address, stop } = await startBackend();
  stop();
  return address;
}

export function openChannel(
  targets: readonly string[],
  options: Partial<ChannelOptions> = {},
  observer?: UpstreamObserver,
): Channel {
  const defaults = { name: "test", balancing: "round_robin", maxMessageSize: 4 * 1024 * 1024 } as const;
  const channel = createChannel({ ...defaults, ...underTest, ...options, targets }, observer);
  leftovers.push(() => channel.close());
  return channel;
}

/** Collects why calls are sent again without a configured retry. */
export function recordResent(into: string[]): UpstreamObserver {
  return {
    started: () => {},
    finished: () => {},
    retried: () => assert.fail("counted as a configured retry"),
    resent: (_path, why) => into.push(why),
  };
}

export function unaryCall(options: Partial<UnaryCall> = {}): UnaryCall {
  return {
    path: unaryPath,
    request: Buffer.from("hello"),
    metadata: [],
    timeout: 10_000,
    retryable: false,
    cancellation: new Cancellation(),
    ...options,
  };
}

/** Resolves once the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
}
