import type { RpcBinding } from "../bindings/binding.js";
import { responseFailure } from "../codec/error.js";
import type { ResponseBody } from "../codec/wire-to-json/response.js";
import type { CallMetadata } from "../protocols/protocol.js";
import type { ClientSocket, ClientSocketListener } from "../server/client-socket.js";
import { noBody } from "../server/inbound-request.js";
import { codeName } from "../status/code.js";
import { type Failure, gatewayError, gatewayFailure } from "../status/failure.js";
import { RpcStream, type RpcStreamOptions, type StreamClient } from "./rpc-stream.js";

/** The part of the pipeline that a socket uses. */
export interface SocketStreamHost {
  /** Values of the template's variables, raw, and the query: they are in the first message. */
  readonly variables: readonly string[];
  readonly query: string;
  /** Milliseconds for the one message of a method that takes one. */
  readonly requestTimeoutMs: number;
  /** The body of an error in the dialect of the binding. */
  errorBody(failure: Failure): string;
  received(bytes: number): void;
  sent(bytes: number): void;
  /** The call is over. */
  finish(failure: Failure | undefined, detail: string | undefined): void;
}

/** Bytes that wait for the client, above which the backend is stopped. */
const maxUnreadBytes = 256 * 1024;
/**
 * Bytes of messages that came although the client was stopped, of one call and of all of them, beyond which it ends. The
 * engine uws reads on within a turn of the event loop while full reads come: all that the kernel keeps, and more.
 */
const maxKeptBytes = 32 << 20;
const maxKeptBytesOfAll = 256 << 20;
let keptBytesOfAll = 0;
/** Bytes counted for each of them beside its own. */
const messageOverhead = 64;

interface KeptMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/**
 * A streaming call over a WebSocket: a JSON message in each text frame, both ways. `{"end":true}` ends the requests; a
 * failure is the last frame, `{"error":…}`, and the close code says which.
 */
export class SocketStream implements StreamClient, ClientSocketListener {
  readonly rpc: RpcStream;
  readonly #socket: ClientSocket;
  readonly #host: SocketStreamHost;
  readonly #binding: RpcBinding;
  /** A message was sent to the backend: path and query are in it. */
  #begun = false;
  /** The client sends no more. */
  #ended = false;
  /** The backend takes nothing now, or a message is being encoded: further frames are kept unread. */
  #waiting = false;
  /** A large message is being encoded. */
  #encoding = false;
  readonly #kept: KeptMessage[] = [];
  #keptBytes = 0;
  /** The client has to read before more is sent. */
  #behind = false;
  #firstTimer: NodeJS.Timeout | undefined;
  /** A large response is being printed; the end of the call waits for it. */
  #printing = false;
  #ending: (() => void) | undefined;

  constructor(socket: ClientSocket, host: SocketStreamHost, options: RpcStreamOptions) {
    this.#socket = socket;
    this.#host = host;
    this.#binding = options.binding;
    this.rpc = new RpcStream(options, this);
  }

  /** @param whole the message of a method that takes one, where no frame brings it */
  start(whole: Uint8Array | undefined): void {
    const { clientStreaming, serverStreaming } = this.#binding.route.rpc;
    if (whole !== undefined) {
      this.#begun = true;
      this.rpc.send(whole);
      this.rpc.endRequests();
    } else if (!clientStreaming) {
      const late = gatewayFailure(
        "REQUEST_TIMEOUT",
        "the message did not arrive within the time for a request",
      );
      this.#firstTimer = setTimeout(() => this.rpc.abort(late), this.#host.requestTimeoutMs);
    } else if (serverStreaming) {
      // A backend may respond before the first request.
      this.rpc.open();
    }
  }

  // Events of the client.

  received(data: Buffer, isBinary: boolean): void {
    if (this.rpc.over) return;
    this.#host.received(data.length);
    if (!this.#waiting) {
      this.#take({ data, isBinary });
      return;
    }
    this.#kept.push({ data, isBinary });
    this.#keep(data.length + messageOverhead);
    if (this.#keptBytes > maxKeptBytes || keptBytesOfAll > maxKeptBytesOfAll)
      this.rpc.abort(gatewayFailure("RATE_LIMITED", "messages come faster than the backend takes them"));
  }

  #keep(change: number): void {
    this.#keptBytes += change;
    keptBytesOfAll += change;
  }

  #take({ data, isBinary }: KeptMessage): void {
    try {
      this.#receive(data, isBinary);
    } catch (error) {
      this.rpc.abortWith(error);
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const { route } = this.#binding;
    if (!isBinary && isEnd(data)) {
      this.#endRequests();
      return;
    }
    if (this.#ended) throw gatewayError("MALFORMED_REQUEST", 'no message may follow {"end":true}');
    if (this.#begun && !route.rpc.clientStreaming)
      throw gatewayError(
        "MALFORMED_REQUEST",
        route.body.kind === "none"
          ? `${route.rpc.fullName} takes its message from path and query alone`
          : `${route.rpc.fullName} takes one message`,
      );
    const raw = route.frames.takesRawBody;
    if (isBinary && !raw)
      throw gatewayError("UNSUPPORTED_MEDIA_TYPE", "messages are JSON in text frames, not binary ones");
    // Of no bytes there is no JSON; the codec takes them for no body.
    if (data.length === 0 && !raw) throw gatewayError("MALFORMED_JSON", "expected a JSON message");
    this.#send(data, raw ? (isBinary ? "application/octet-stream" : "text/plain; charset=utf-8") : "");
    if (!route.rpc.clientStreaming && !this.#encoding) this.rpc.endRequests();
  }

  #endRequests(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { clientStreaming } = this.#binding.route.rpc;
    const { variables, query } = this.#host;
    if (!this.#begun && (!clientStreaming || variables.length > 0 || query !== "")) this.#send(noBody, "");
    this.rpc.endRequests();
  }

  #send(bytes: Uint8Array, contentType: string): void {
    const { frames } = this.#binding.route;
    const { variables, query } = this.#host;
    const body = { contentType, bytes };
    clearTimeout(this.#firstTimer);
    const message = this.#begun
      ? frames.encodeNextInTurns(variables, body)
      : frames.encodeInTurns(variables, query, body);
    this.#begun = true;
    if (message instanceof Promise) this.#sendLater(message);
    else if (!this.rpc.send(message) && !this.rpc.over) this.#wait();
  }

  #wait(): void {
    this.#waiting = true;
    this.#socket.pause();
  }

  #sendLater(encoding: Promise<Uint8Array>): void {
    this.#encoding = true;
    this.#wait();
    encoding.then(
      message => {
        this.#encoding = false;
        if (this.rpc.over) return;
        const more = this.rpc.send(message);
        if (!this.#binding.route.rpc.clientStreaming) this.rpc.endRequests();
        if (more) this.drain();
      },
      error => this.rpc.abortWith(error),
    );
  }

  drained(): void {
    if (!this.#behind || this.#socket.bufferedBytes > maxUnreadBytes) return;
    this.#behind = false;
    this.rpc.resume();
  }

  broken(code: number): void {
    if (code === 1009) {
      const { bodyLimit } = this.#binding;
      this.rpc.abort(gatewayFailure("BODY_TOO_LARGE", `a message is limited to ${bodyLimit} bytes`));
      return;
    }
    this.#socket.end(code, code === 1007 ? "INVALID_UTF8" : "PROTOCOL_ERROR");
    this.rpc.abort(
      gatewayFailure("MALFORMED_REQUEST", "the client broke the protocol of WebSockets"),
      `close code ${code}`,
    );
  }

  left(code: number): void {
    this.rpc.abort(gatewayFailure("CLIENT_CLOSED", "the client closed its socket"), `close code ${code}`);
  }

  // Events of the backend.

  /** The response to the handshake is out by then. */
  headers(): void {}

  message(message: Uint8Array): boolean {
    try {
      const decoded = this.#binding.route.response.decodeInTurns(message);
      if (!(decoded instanceof Promise)) return this.#respond(decoded.body);
      void this.#respondLater(decoded);
      return false;
    } catch (error) {
      this.rpc.abort(responseFailure(), String(error));
      return true;
    }
  }

  /** @returns false where the client is behind */
  #respond(body: string | Uint8Array): boolean {
    this.#sendFrame(body);
    this.#behind = this.#socket.bufferedBytes > maxUnreadBytes;
    return !this.#behind;
  }

  async #respondLater(decoding: Promise<ResponseBody>): Promise<void> {
    this.#printing = true;
    try {
      const { body } = await decoding;
      this.#printing = false;
      const more = this.#respond(body);
      if (this.#ending !== undefined) this.#ending();
      else if (more) this.rpc.resume();
    } catch (error) {
      this.#printing = false;
      if (this.#ending !== undefined) this.#finish(responseFailure(), String(error));
      else this.rpc.abort(responseFailure(), String(error));
    }
  }

  drain(): void {
    if (this.#encoding) return;
    this.#waiting = false;
    while (!this.#waiting && !this.rpc.over) {
      const next = this.#kept.shift();
      if (next === undefined) {
        this.#socket.resume();
        return;
      }
      this.#keep(-next.data.length - messageOverhead);
      this.#take(next);
    }
  }

  end(failure: Failure | undefined, _metadata: CallMetadata, detail: string | undefined): void {
    if (this.#printing) this.#ending = () => this.#finish(failure, detail);
    else this.#finish(failure, detail);
  }

  #finish(failure: Failure | undefined, detail: string | undefined): void {
    clearTimeout(this.#firstTimer);
    this.#kept.length = 0;
    this.#keep(-this.#keptBytes);
    if (failure === undefined) this.#socket.end(1000, "");
    else {
      this.#sendFrame(`{"error":${this.#host.errorBody(failure)}}`);
      this.#socket.end(4000 + failure.httpStatus, codeName(failure.code));
    }
    this.#host.finish(failure, detail);
  }

  #sendFrame(body: string | Uint8Array): void {
    this.#host.sent(body.length);
    if (typeof body === "string") this.#socket.sendText(body);
    else this.#socket.sendBinary(body);
  }
}

/** The frame with which a client ends its requests. */
function isEnd(data: Buffer): boolean {
  return data.length <= maxEndBytes && endFrame.test(data.toString("latin1"));
}

const maxEndBytes = 64;
const endFrame = /^\s*\{\s*"end"\s*:\s*true\s*\}\s*$/;
