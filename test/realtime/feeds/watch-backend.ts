import { Server, ServerCredentials, type ServerWritableStream, type status } from "@grpc/grpc-js";
import protobuf from "protobufjs";

export const pricesProto = `
syntax = "proto3";
package market.v1;
service Prices {
  rpc Watch(WatchRequest) returns (stream Price);
  rpc Get(WatchRequest) returns (Price);
  rpc Follow(Odd) returns (stream Price);
  rpc Upload(stream Price) returns (stream Price);
}
message WatchRequest { string symbol = 1; string room_id = 2; uint64 after_id = 3; }
message Odd { repeated string symbol = 1; Price after = 2; }
message Price { uint64 id = 1; string symbol = 2; string pad = 3; }
`;

type Call = ServerWritableStream<Record<string, unknown>, object>;

/** One stream that a gateway has open. */
export interface Watch {
  readonly request: Readonly<Record<string, unknown>>;
  readonly call: Call;
  /** Sends a price. @returns false where the gateway does not read as fast */
  send(id: number, more?: object): boolean;
  readonly cancelled: boolean;
}

/** A real gRPC server that knows all prices, and sends those after `after_id`, and the following ones, to whoever watches. */
export interface WatchBackend {
  readonly port: number;
  /** All streams that were ever opened, in order. */
  readonly watches: readonly Watch[];
  /** Those that are open now. */
  readonly open: readonly Watch[];
  /** Resolves when it is so; looked at when a stream begins or ends. */
  until(fits: () => boolean): Promise<void>;
  /** A new price for all that watch, and for later ones. */
  price(): number;
  /** Ends streams that are opened from now on with a code; undefined: they stay open. */
  refuse(code: status | undefined): void;
  /** As a crash would. */
  kill(): void;
  start(): Promise<void>;
}

/** @param proto with `market.v1.Prices/Watch` */
export async function startWatchBackend(proto = pricesProto): Promise<WatchBackend> {
  const root = new protobuf.Root();
  protobuf.parse(proto, root, { keepCase: true });
  const service = root.lookupService("market.v1.Prices");
  const method = service.methods.Watch?.resolve() as protobuf.Method;
  const [input, output] = [
    method.resolvedRequestType as protobuf.Type,
    method.resolvedResponseType as protobuf.Type,
  ];
  const watches: Watch[] = [];
  const open = new Set<Watch>();
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const each of [...waiting]) each();
  };
  let last = 0;
  let code: status | undefined;
  let server: Server | undefined;
  let port = 0;
  const watch = (call: Call): void => {
    if (code !== undefined) {
      call.emit("error", { code, details: "refused" });
      return;
    }
    let cancelled = false;
    const symbol = String(call.request.symbol ?? "");
    const each: Watch = {
      request: call.request,
      call,
      send: (id, more) => call.write({ id, symbol, ...more }),
      get cancelled() {
        return cancelled;
      },
    };
    watches.push(each);
    open.add(each);
    const after = Number(call.request.after_id ?? last);
    for (let id = after + 1; id <= last; id++) each.send(id);
    call.sendMetadata(call.metadata);
    call.on("cancelled", () => {
      cancelled = true;
      open.delete(each);
      look();
    });
    look();
  };
  const start = async (): Promise<void> => {
    server = new Server();
    server.addService(
      {
        Watch: {
          path: "/market.v1.Prices/Watch",
          requestStream: false,
          responseStream: true,
          requestSerialize: (value: object) => Buffer.from(input.encode(input.fromObject(value)).finish()),
          requestDeserialize: (wire: Buffer) => input.toObject(input.decode(wire), { longs: String }),
          responseSerialize: (value: object) => Buffer.from(output.encode(output.fromObject(value)).finish()),
          responseDeserialize: (wire: Buffer) => output.toObject(output.decode(wire)),
        },
      },
      { Watch: watch },
    );
    port = await new Promise<number>((resolve, reject) => {
      server?.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
  };
  await start();
  return {
    get port() {
      return port;
    },
    watches,
    get open() {
      return [...open];
    },
    until: fits =>
      new Promise(resolve => {
        const check = (): void => {
          if (!fits()) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    price: () => {
      last++;
      for (const each of open) each.send(last);
      return last;
    },
    refuse: next => {
      code = next;
    },
    kill: () => {
      server?.forceShutdown();
      open.clear();
    },
    start,
  };
}
