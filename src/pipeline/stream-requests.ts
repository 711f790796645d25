import type { EmitMessage, ProtocolCall } from "../protocols/protocol.js";
import { type BodyReader, bodyFailure, type InboundRequest } from "../server/inbound-request.js";
import { readMessage } from "./protocol-call.js";
import type { RpcStream } from "./rpc-stream.js";

/** Where the request messages of a stream come from. */
export interface RequestsHost {
  readonly request: InboundRequest;
  readonly call: ProtocolCall;
  /** Bytes of a body that is one message. */
  readonly bodyLimit: number;
  received(bytes: number): void;
}

/** Messages that one turn of the event loop takes. */
const messagesPerTurn = 256;

/** Sends the messages of a request's body to the backend, no faster than it takes them. Failures abort the call. */
export class StreamRequests {
  readonly #host: RequestsHost;
  readonly #rpc: RpcStream;
  /** Undefined until a body of messages is read. */
  #body: BodyReader | undefined;
  /** Resolves when the last piece was processed; the body is paused meanwhile. */
  #waiting: Promise<void> | undefined;
  #emitted = 0;
  #backendReady: (() => void) | undefined;

  constructor(host: RequestsHost, rpc: RpcStream) {
    this.#host = host;
    this.#rpc = rpc;
  }

  /** @param streaming false: the whole body is one message */
  start(streaming: boolean): void {
    if (streaming) this.#readAll();
    else void this.#readOne();
  }

  /** The backend takes more. */
  drain(): void {
    const ready = this.#backendReady;
    this.#backendReady = undefined;
    ready?.();
  }

  async #readOne(): Promise<void> {
    const { request, call, bodyLimit, received } = this.#host;
    try {
      const message = await readMessage(request, call.reader, bodyLimit, received);
      this.#rpc.send(message);
      this.#rpc.endRequests();
    } catch (error) {
      this.#rpc.abortWith(error);
    }
  }

  #readAll(): void {
    this.#body = this.#host.request.stream(Number.MAX_SAFE_INTEGER, "slow");
    this.#body.start({
      chunk: chunk => this.#read(chunk),
      end: () => void this.#readEnd(),
      fail: error => {
        const left = "the request ended before its body was complete";
        this.#rpc.abort(bodyFailure(error, Number.MAX_SAFE_INTEGER, left));
      },
    });
  }

  #read(chunk: Uint8Array): void {
    if (this.#rpc.over) return;
    const { call, received } = this.#host;
    received(chunk.length);
    try {
      const waiting = call.reader.push(chunk, this.#emit);
      if (waiting !== undefined) this.#wait(waiting);
    } catch (error) {
      this.#rpc.abortWith(error);
    }
  }

  #wait(waiting: Promise<void>): void {
    this.#body?.pause();
    this.#waiting = waiting.then(
      () => {
        this.#waiting = undefined;
        if (!this.#rpc.over) this.#body?.resume();
      },
      error => this.#rpc.abortWith(error),
    );
  }

  async #readEnd(): Promise<void> {
    try {
      await this.#waiting;
      await this.#host.call.reader.end(this.#emit);
      this.#rpc.endRequests();
    } catch (error) {
      this.#rpc.abortWith(error);
    }
  }

  readonly #emit: EmitMessage = message => {
    if (!this.#rpc.send(message)) {
      return new Promise<void>(resolve => {
        this.#backendReady = resolve;
      });
    }
    if (++this.#emitted % messagesPerTurn > 0) return undefined;
    return new Promise<void>(resolve => setImmediate(resolve));
  };
}
