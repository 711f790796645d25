import { compress } from "../../net/gzip.js";
import { Code } from "../../status/code.js";
import { type Metadata, noMetadata } from "../channel.js";
import type { PooledCall } from "../connection-pool.js";
import { expandMessage } from "../expand-message.js";
import {
  failure,
  type StreamOutcome,
  type TransportCall,
  type TransportListener,
  type TransportStream,
} from "../transport.js";
import type { RequestBlock } from "./request-header.js";

/** Where a call is. */
export interface CallConnection {
  /** The call waits to be written. */
  enlist(call: TrpcCall): void;
  /** It has its request message. */
  wake(): void;
  /** The call is over for a reason of its own. */
  forget(call: TrpcCall): void;
}

/** The parts of a response's body by its header. */
export interface ResponseParts {
  readonly ret: number;
  readonly funcRet: number;
  readonly errorMessage: string;
}

/** Codes that tRPC's framework sends as `ret` (trpc.proto, TrpcRetCode), as gRPC's; the others are INTERNAL. */
const codes: ReadonlyMap<number, number> = new Map([
  [1, Code.INVALID_ARGUMENT],
  [11, Code.UNIMPLEMENTED],
  [12, Code.UNIMPLEMENTED],
  [21, Code.DEADLINE_EXCEEDED],
  [22, Code.RESOURCE_EXHAUSTED],
  [23, Code.RESOURCE_EXHAUSTED],
  [24, Code.DEADLINE_EXCEEDED],
  [41, Code.UNAUTHENTICATED],
  [51, Code.INVALID_ARGUMENT],
  [999, Code.UNKNOWN],
]);

/** The outcome of a call that the framework in the backend ended. `ret` is not 0. */
function frameworkOutcome(ret: number, message: string): StreamOutcome {
  return {
    status: { code: codes.get(ret) ?? Code.INTERNAL, message, origin: "framework", backendCode: ret },
    trailers: [["trpc-ret", String(ret)]],
    progress: "sent",
  };
}

/** The outcome of a call that the backend's own code ended. `funcRet` is not 0, and means nothing to gRPC. */
function businessOutcome(funcRet: number, message: string): StreamOutcome {
  return {
    status: { code: Code.UNKNOWN, message, origin: "business", backendCode: funcRet },
    trailers: [["trpc-func-ret", String(funcRet)]],
    progress: "sent",
  };
}

const success: StreamOutcome = {
  status: { code: Code.OK, message: "", origin: undefined },
  trailers: noMetadata,
  progress: "sent",
};

const noMessage = new Uint8Array(0);

/** One unary or one-way call, from its request to its outcome. */
export class TrpcCall implements TransportStream, PooledCall {
  readonly block: RequestBlock;
  readonly metadata: Metadata;
  /** Milliseconds; undefined: none. */
  readonly timeout: number | undefined;
  /** Of its frames; 0 until it is written. */
  id = 0;
  /** Undefined before it comes, and while it is being compressed. */
  request: Uint8Array | undefined;
  compressed = false;
  closed = false;
  avoided: undefined;
  readonly #listener: TransportListener;
  readonly #compressFrom: number;
  #connection: CallConnection | undefined;

  constructor(call: TransportCall, block: RequestBlock, listener: TransportListener) {
    this.block = block;
    this.metadata = call.metadata;
    this.timeout = call.timeout;
    this.#listener = listener;
    this.#compressFrom = call.compressFrom ?? Number.POSITIVE_INFINITY;
  }

  send(message: Uint8Array): void {
    if (message.length < this.#compressFrom) {
      this.ready(message, false);
      return;
    }
    const compressed = compress(message);
    if (compressed instanceof Promise) {
      compressed.then(
        bytes => this.ready(bytes, true),
        (error: unknown) => this.fail(Code.INTERNAL, `the request cannot be compressed: ${String(error)}`),
      );
    } else {
      this.ready(compressed, true);
    }
  }

  /** A unary call ends with its one message. */
  end(): void {}

  /** The one response is handed over when it comes. */
  read(): void {}

  cancel(): void {
    if (this.closed) return;
    this.closed = true;
    this.request = undefined;
    this.#connection?.forget(this);
    this.#connection = undefined;
  }

  /** Waits on a connection to be written. */
  join(connection: CallConnection): void {
    this.#connection = connection;
    connection.enlist(this);
  }

  /** The connection is done with the call. */
  leave(): void {
    this.#connection = undefined;
  }

  conclude(outcome: StreamOutcome): void {
    if (this.closed) return;
    this.closed = true;
    this.#connection = undefined;
    this.request = undefined;
    this.#listener.onEnd(outcome);
  }

  /** The response is an error, or an invalid one. */
  refuse({ ret, funcRet, errorMessage }: ResponseParts, metadata: Metadata): void {
    if (this.closed) return;
    if (metadata.length > 0) this.#listener.onHeaders(metadata);
    this.conclude(ret === 0 ? businessOutcome(funcRet, errorMessage) : frameworkOutcome(ret, errorMessage));
  }

  /** The response has come. @param maxSize bytes of the message */
  respond(body: Buffer, compressed: boolean, metadata: Metadata, maxSize: number): void {
    if (this.closed) return;
    if (!compressed) {
      this.deliver(body, metadata);
      return;
    }
    expandMessage(body, maxSize, result => {
      if (this.closed) return;
      if (Buffer.isBuffer(result)) this.deliver(result, metadata);
      else this.conclude(result);
    });
  }

  /** A one-way call was written: nothing else comes. */
  written(): void {
    if (!this.closed) this.deliver(noMessage, []);
  }

  private ready(request: Uint8Array, compressed: boolean): void {
    if (this.closed) return;
    this.request = request;
    this.compressed = compressed;
    this.#connection?.wake();
  }

  private deliver(message: Uint8Array, metadata: Metadata): void {
    if (metadata.length > 0) this.#listener.onHeaders(metadata);
    // The listener may cancel from within.
    if (!this.closed) this.#listener.onMessage(message);
    this.conclude(success);
  }

  private fail(code: number, message: string): void {
    if (this.closed) return;
    const connection = this.#connection;
    this.conclude(failure(code, "request", message));
    connection?.forget(this);
  }
}
