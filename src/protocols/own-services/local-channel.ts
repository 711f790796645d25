import { Code } from "../../status/code.js";
import {
  type CallStatus,
  type Channel,
  noMetadata,
  type StreamCall,
  type StreamHandle,
  type UnaryCall,
  type UnaryResult,
} from "../../upstream/channel.js";

/** A method that the gateway serves itself. */
export interface LocalMethod {
  /** Begins one call. */
  open(responder: Responder): CallReceiver;
}

/** Takes the responses of one call. Those after the end are dropped. */
export interface Responder {
  respond(message: Uint8Array): void;
  end(status: CallStatus): void;
}

/** Takes the request messages of one call. */
export interface CallReceiver {
  message(message: Uint8Array): void;
  /** No further request comes. */
  end(): void;
  /** The gateway is shutting down: the last words before the call is ended. */
  shutDown?(): void;
  /** The call is over, for any reason; once. */
  closed?(): void;
}

export const okStatus: CallStatus = { code: Code.OK, message: "", origin: undefined };

export function errorStatus(code: number, message: string): CallStatus {
  return { code, message, origin: "backend" };
}

const shuttingDown = errorStatus(Code.UNAVAILABLE, "the gateway is shutting down");

/** Bytes of responses waiting for a slow caller, above which its requests wait. */
const highWater = 256 * 1024;

/** A channel to methods inside the gateway, for bindings that are like all others. */
export class LocalChannel implements Channel {
  readonly streams = true;
  readonly #methods: ReadonlyMap<string, LocalMethod>;
  readonly #shutdown: AbortSignal;
  readonly #streams = new Set<LocalStream>();
  readonly #onShutdown = (): void => {
    for (const stream of this.#streams) stream.shutDown();
  };

  /**
   * @param methods by path
   * @param shutdown aborted when the gateway shuts down: nothing here is worth waiting for
   */
  constructor(methods: ReadonlyMap<string, LocalMethod>, shutdown: AbortSignal) {
    this.#methods = methods;
    this.#shutdown = shutdown;
    shutdown.addEventListener("abort", this.#onShutdown);
  }

  unary(call: UnaryCall): Promise<UnaryResult> {
    return new Promise(resolve => this.begin(call, resolve));
  }

  begin({ path, request }: UnaryCall, onResult: (result: UnaryResult) => void): void {
    let message: Uint8Array | undefined;
    let ended = false;
    const receiver = this.#open(path, {
      respond: response => {
        message = response;
      },
      end: status => {
        if (ended) return;
        ended = true;
        onResult({
          status,
          message: status.code === Code.OK ? message : undefined,
          headers: noMetadata,
          trailers: noMetadata,
          attempts: 1,
          seconds: 0,
        });
      },
    });
    receiver.message(request);
    receiver.end();
  }

  stream(call: StreamCall): StreamHandle {
    const stream: LocalStream = new LocalStream(call, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    stream.start(responder => this.#open(call.path, responder));
    if (this.#shutdown.aborted) stream.shutDown();
    return stream;
  }

  #open(path: string, responder: Responder): CallReceiver {
    const method = this.#methods.get(path);
    if (method !== undefined) return method.open(responder);
    const unknown = errorStatus(Code.UNIMPLEMENTED, "the gateway has no such method");
    return { message: () => undefined, end: () => responder.end(unknown) };
  }

  state(): [] {
    return [];
  }

  async close(): Promise<void> {
    this.#shutdown.removeEventListener("abort", this.#onShutdown);
  }
}

/** One call that streams: responses wait for the caller, and his requests for the responses. */
class LocalStream implements StreamHandle {
  readonly #call: StreamCall;
  readonly #onOver: () => void;
  #receiver: CallReceiver | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #responses: Uint8Array[] = [];
  #waitingBytes = 0;
  #status: CallStatus | undefined;
  #scheduled = false;
  #paused = false;
  #drainPending = false;
  #over = false;

  constructor(call: StreamCall, onOver: () => void) {
    this.#call = call;
    this.#onOver = onOver;
  }

  start(open: (responder: Responder) => CallReceiver): void {
    const { timeout, cancellation } = this.#call;
    this.#receiver = open({
      respond: message => {
        if (this.#status !== undefined) return;
        this.#responses.push(message);
        this.#waitingBytes += message.length;
        this.#schedule();
      },
      end: status => this.#end(status),
    });
    if (timeout !== undefined) {
      const message = `no end within ${timeout} ms`;
      const late: CallStatus = { code: Code.DEADLINE_EXCEEDED, message, origin: "deadline" };
      this.#timer = setTimeout(() => this.#finish(late), timeout);
    }
    cancellation.listen(() =>
      this.#finish({ code: Code.CANCELLED, message: "the caller disconnected", origin: "cancelled" }),
    );
  }

  shutDown(): void {
    this.#receiver?.shutDown?.();
    this.#end(shuttingDown);
  }

  send(message: Uint8Array): boolean {
    if (this.#over || this.#status !== undefined) return true;
    this.#receiver?.message(message);
    this.#drainPending = this.#waitingBytes > highWater;
    return !this.#drainPending;
  }

  end(): void {
    if (!this.#over) this.#receiver?.end();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #end(status: CallStatus): void {
    this.#status ??= status;
    this.#schedule();
  }

  /** Nothing is delivered from within a call of the other side. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (!this.#over && !this.#paused) {
      const message = this.#responses.shift();
      if (message === undefined) break;
      this.#waitingBytes -= message.length;
      this.#call.onMessage(message);
    }
    if (this.#over || this.#paused) return;
    if (this.#status !== undefined) this.#finish(this.#status);
    else if (this.#drainPending) {
      this.#drainPending = false;
      this.#call.onDrain?.();
    }
  }

  #finish(status: CallStatus): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#call.cancellation.listen(undefined);
    this.#responses.length = 0;
    this.#onOver();
    this.#receiver?.closed?.();
    this.#call.onEnd(status, noMetadata);
  }
}
