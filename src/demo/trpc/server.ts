import { once } from "node:events";
import { type AddressInfo, createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  frameHeadSize,
  maxHeaderSize,
  TrpcError,
  TrpcReader,
  type TrpcSink,
} from "../../upstream/trpc/frame.js";
import { RequestHeader } from "./request.js";
import { responseFrame, type TrpcResponse } from "./response.js";

/** A call as a method sees it. */
export interface TrpcServerCall {
  readonly header: RequestHeader;
  readonly body: Buffer;
}

/**
 * One method. Returns its response without the id; undefined: no response ever comes, as after a panic in
 * tRPC-Go. A thrown error is a plain error, func_ret 999.
 */
export type TrpcMethod = (
  call: TrpcServerCall,
) => Partial<TrpcResponse> | undefined | Promise<Partial<TrpcResponse> | undefined>;

export interface TrpcServerOptions {
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, TrpcMethod>;
  /** 0, the default, takes any free one. */
  readonly port?: number;
  readonly tls?: TlsOptions;
  /** Milliseconds without a request after which a connection is closed. */
  readonly idleMs?: number;
}

export interface TrpcServer {
  /** `127.0.0.1:50052` */
  readonly address: string;
  readonly port: number;
  /** Connections that are open. */
  readonly connections: ReadonlySet<Socket>;
  close(): Promise<void>;
}

/** As tRPC-Go: bytes of a frame, milliseconds without a request. */
const maxFrame = 10 * 1024 * 1024;
const defaultIdleMs = 60_000;

const Ret = { Decode: 1, NoMethod: 12 } as const;
/** The code that tRPC-Go uses for an error without a code. */
const plainError = 999;
const gzip = 1;

/** A tRPC server on 127.0.0.1 that responds as tRPC-Go does: out of order, and not at all to malformed frames. */
export async function startTrpcServer(options: TrpcServerOptions): Promise<TrpcServer> {
  const connections = new Set<Socket>();
  const accept = (socket: Socket): void => {
    connections.add(socket);
    socket.setNoDelay(true);
    socket.setTimeout(options.idleMs ?? defaultIdleMs, () => socket.end());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => connections.delete(socket));
    new ServerConnection(socket, options.methods);
  };
  const server: Server =
    options.tls === undefined ? createPlainServer(accept) : createTlsServer(options.tls, accept);
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    port,
    connections,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** One connection: frames in, frames out. */
class ServerConnection implements TrpcSink {
  readonly #socket: Socket;
  readonly #methods: ReadonlyMap<string, TrpcMethod>;
  /** Of the request whose body is being received. */
  #header: RequestHeader | undefined;
  #id = 0;
  #version = 1;

  constructor(socket: Socket, methods: ReadonlyMap<string, TrpcMethod>) {
    this.#socket = socket;
    this.#methods = methods;
    const reader = new TrpcReader(this, maxFrame);
    socket.on("data", (bytes: Buffer) => {
      try {
        reader.read(bytes, 0, bytes.length);
      } catch (error) {
        if (!(error instanceof TrpcError)) throw error;
        socket.destroy();
      }
    });
  }

  onHeader(id: number, bytes: Buffer, from: number, to: number, size: number, version: number): number {
    const header = RequestHeader.read(Buffer.from(bytes.subarray(from, to)));
    if (header === undefined || header.attachmentSize > size) {
      this.#fail(id, 0, version, Ret.Decode, "service codec Decode: the header is no message");
      return -1;
    }
    this.#header = header;
    this.#id = id;
    this.#version = version;
    return size - header.attachmentSize;
  }

  onBody(body: Buffer): void {
    if (this.#header !== undefined) void this.#serve(this.#header, this.#id, this.#version, body);
  }

  onUnreadable(id: number, why: string): void {
    this.#fail(id, 0, 1, Ret.Decode, `service codec Decode: ${why}`);
  }

  /** The connection is closed without a response. */
  onOversized(): void {}

  async #serve(header: RequestHeader, id: number, version: number, received: Buffer): Promise<void> {
    const { requestId, func, contentType, contentEncoding, oneWay, transInfo } = header;
    const method = this.#methods.get(func);
    const refuse = (ret: number, message: string): void => {
      if (!oneWay) this.#fail(id, requestId, version, ret, message);
    };
    if (method === undefined) {
      refuse(Ret.NoMethod, `service handle: rpc name ${func} invalid`);
      return;
    }
    if (contentType !== 0) {
      refuse(Ret.Decode, "service codec Unmarshal: serializer not registered");
      return;
    }
    let body: Buffer;
    try {
      body = contentEncoding === gzip ? gunzipSync(received, { maxOutputLength: maxFrame }) : received;
    } catch (error) {
      refuse(Ret.Decode, `service codec Decompress: ${error instanceof Error ? error.message : error}`);
      return;
    }
    const response = await this.#call(method, { header, body });
    if (response === undefined || oneWay) return;
    const compress =
      contentEncoding === gzip && response.body !== undefined && response.contentEncoding === undefined;
    this.#write({
      id,
      requestId,
      version,
      ...response,
      transInfo: [...transInfo, ...(response.transInfo ?? [])],
      ...(compress && { contentEncoding: gzip, body: gzipSync(response.body as Uint8Array) }),
    });
  }

  async #call(method: TrpcMethod, call: TrpcServerCall): Promise<Partial<TrpcResponse> | undefined> {
    try {
      return await method(call);
    } catch (error) {
      return { funcRet: plainError, message: error instanceof Error ? error.message : String(error) };
    }
  }

  #fail(id: number, requestId: number, version: number, ret: number, message: string): void {
    this.#write({ id, requestId, version, ret, message });
  }

  #write(response: TrpcResponse): void {
    // Headers of requests are given back, and so may be too long for a response.
    const frame = responseFrame(response);
    const headerSize =
      frame.length - frameHeadSize - (response.body?.length ?? 0) - (response.attachment?.length ?? 0);
    if (headerSize > maxHeaderSize || this.#socket.destroyed) this.#socket.destroy();
    else this.#writeWithOthers(frame);
  }

  /** Responses of one turn of the event loop go out together, as servers of gRPC write theirs. */
  #writeWithOthers(frame: Buffer): void {
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      setImmediate(() => this.#socket.uncork());
    }
    this.#socket.write(frame);
  }
}
