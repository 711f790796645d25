import type { RpcBinding } from "../bindings/binding.js";
import { responseFailure } from "../codec/error.js";
import type { HeaderList } from "../net/headers.js";
import type { BodyPart, CallMetadata, StreamEnd } from "../protocols/protocol.js";
import { type BodyWriter, bytesOf, type ResponseWriter } from "../server/response-writer.js";
import { type Failure, gatewayFailure } from "../status/failure.js";
import { type Metadata, noMetadata } from "../upstream/channel.js";
import type { HttpResponse, Outcome } from "./context.js";
import { RpcStream, type RpcStreamOptions, type StreamClient } from "./rpc-stream.js";
import { type RequestsHost, StreamRequests } from "./stream-requests.js";

/** The part of the pipeline that a stream uses. */
export interface HttpStreamHost extends RequestsHost {
  readonly response: ResponseWriter;
  /** Adds the headers that every response carries. */
  ownHeaders(headers: [name: string, value: string][]): HeaderList;
  /** The whole response to a failure before the head. */
  failed(failure: Failure, metadata: CallMetadata, detail: string | undefined): HttpResponse;
  /** The body of an error in the dialect of the binding. */
  errorBody(failure: Failure): string;
  sent(bytes: number): void;
  /** Writes a whole response, instead of a stream; the request is over then. */
  respond(response: HttpResponse): void;
  /** The stream has been written to its end, or as far as its client took it. */
  finish(outcome: Outcome): void;
}

/** Bytes that are collected before they are written within a turn of the event loop. */
const maxCollectedBytes = 64 * 1024;

/**
 * A streaming call over one HTTP request: messages of its body go to the backend, responses into the body of the
 * response. All parts of one turn of the event loop are written at once. Errors of called code never propagate out of
 * it: a response that cannot be written ends as INTERNAL.
 */
export class HttpStream implements StreamClient {
  readonly rpc: RpcStream;
  readonly #host: HttpStreamHost;
  readonly #binding: RpcBinding;
  readonly #requests: StreamRequests;
  #writer: BodyWriter | undefined;
  #status = 200;
  #headers: Metadata = noMetadata;
  /** The one response of a method whose responses do not stream. */
  #single: Uint8Array | undefined;
  /** The unwritten part of the body: text, where all of it is, or parts. */
  #text = "";
  #parts: BodyPart[] = [];
  #collectedBytes = 0;
  #flushScheduled = false;
  #behind = false;
  /** A message is being turned into a part of the body. */
  #formatting = false;
  #quiet = true;
  #heartbeat: NodeJS.Timeout | undefined;
  #ending: (() => void) | undefined;

  constructor(host: HttpStreamHost, options: RpcStreamOptions) {
    this.#host = host;
    this.#binding = options.binding;
    this.rpc = new RpcStream(options, this);
    this.#requests = new StreamRequests(host, this.rpc);
  }

  start(): void {
    const { clientStreaming, serverStreaming } = this.#binding.route.rpc;
    const { heartbeat } = this.#host.call.format;
    if (heartbeat !== undefined)
      this.#heartbeat = setInterval(() => this.#beat(heartbeat.body), heartbeat.intervalMs);
    // A backend may respond before the first request.
    if (clientStreaming && serverStreaming) this.rpc.open();
    this.#requests.start(clientStreaming);
  }

  drain(): void {
    this.#requests.drain();
  }

  headers(metadata: Metadata): void {
    this.#headers = metadata;
    if (!this.#binding.route.rpc.serverStreaming || this.#host.call.format.headNeedsMessage) return;
    this.#guarded(() => this.#begin(undefined));
  }

  message(message: Uint8Array): boolean {
    if (!this.#binding.route.rpc.serverStreaming) {
      this.#single = message;
      return true;
    }
    try {
      if (this.#writer === undefined) this.#begin(message);
      if (!this.rpc.over) {
        const part = this.#host.call.format.message(message);
        if (part instanceof Promise) this.#addLater(part);
        else this.#add(part);
      }
    } catch (error) {
      this.rpc.abort(responseFailure(), String(error));
    }
    return !this.#formatting && !this.#behind;
  }

  /** Sends the head, once. */
  #begin(first: Uint8Array | undefined): void {
    if (this.#writer !== undefined) return;
    const { request, response, call, ownHeaders } = this.#host;
    const { status, headers } = call.format.head(this.#headers, first);
    this.#status = status;
    this.#writer = response.open(status, ownHeaders(headers));
    this.#writer.onDrain(() => {
      this.#behind = false;
      if (!this.#formatting) this.rpc.resume();
    });
    if (call.format.prefix !== undefined) this.#add(call.format.prefix);
    if (request.method === "HEAD" || status === 304) this.rpc.stop();
  }

  #addLater(part: Promise<BodyPart>): void {
    this.#formatting = true;
    part.then(
      ready => {
        this.#formatting = false;
        this.#add(ready);
        if (this.#ending !== undefined) this.#ending();
        else if (!this.#behind) this.rpc.resume();
      },
      error => {
        this.#formatting = false;
        // The backend may have ended the call as a success meanwhile.
        if (this.#ending !== undefined) this.#finish(responseFailure(), noCallMetadata, String(error));
        else this.rpc.abort(responseFailure(), String(error));
      },
    );
  }

  #add(part: BodyPart): void {
    if (part.length === 0) return;
    this.#quiet = false;
    if (typeof part === "string" && this.#parts.length === 0) {
      this.#text += part;
    } else {
      if (this.#text !== "") this.#parts.push(this.#text);
      this.#text = "";
      this.#parts.push(part);
    }
    this.#collectedBytes += part.length;
    if (this.#collectedBytes >= maxCollectedBytes) this.#flush();
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      flushLater(this);
    }
  }

  /** All that this turn brings is there. */
  flushScheduled(): void {
    this.#flushScheduled = false;
    this.#flush();
  }

  #flush(): void {
    if (this.#collectedBytes === 0 || this.#writer === undefined) return;
    const chunk = this.#parts.length === 0 ? this.#text : joined(this.#parts);
    this.#forget();
    this.#host.sent(typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length);
    if (!this.#writer.write(chunk)) this.#behind = true;
  }

  #forget(): void {
    this.#text = "";
    if (this.#parts.length > 0) this.#parts = [];
    this.#collectedBytes = 0;
  }

  #beat(body: BodyPart): void {
    if (this.#quiet && !this.#behind) {
      this.#guarded(() => {
        this.#begin(undefined);
        this.#add(body);
      });
    }
    this.#quiet = true;
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.rpc.abort(responseFailure(), String(error));
    }
  }

  end(failure: Failure | undefined, metadata: CallMetadata, detail: string | undefined): void {
    clearInterval(this.#heartbeat);
    this.drain();
    if (this.#formatting) this.#ending = () => this.#finish(failure, metadata, detail);
    else this.#finish(failure, metadata, detail);
  }

  #finish(failure: Failure | undefined, metadata: CallMetadata, detail: string | undefined): void {
    const { call, request, response, respond, failed, errorBody, finish } = this.#host;
    try {
      if (this.#writer === undefined && failure !== undefined) {
        respond(failed(failure, metadata, detail));
        return;
      }
      if (!this.#binding.route.rpc.serverStreaming) {
        void this.#respondWhole(metadata);
        return;
      }
      this.#begin(undefined);
      if (request.method === "HEAD" || this.#status === 304) this.#forget();
      const end =
        failure === undefined
          ? call.format.end(metadata.trailers)
          : call.format.fail(failure, metadata.trailers, () => errorBody(failure));
      this.#writeEnd(end);
      finish({ status: this.#status, ...(failure !== undefined && { failure }), detail });
    } catch (error) {
      response.abandon();
      finish({ status: this.#status, failure: failure ?? unwritable(), detail: detail ?? String(error) });
    }
  }

  #writeEnd(end: StreamEnd | undefined): void {
    if (end === undefined) {
      this.#flush();
      this.#host.response.abandon();
      return;
    }
    if (end.body !== undefined) this.#add(end.body);
    this.#flush();
    this.#writer?.end(end.trailers);
  }

  async #respondWhole(metadata: CallMetadata): Promise<void> {
    const { call, respond, failed } = this.#host;
    let whole: HttpResponse;
    try {
      whole = await call.format.whole(this.#single as Uint8Array, metadata);
    } catch (error) {
      whole = failed(responseFailure(), metadata, String(error));
    }
    respond(whole);
  }
}

const noCallMetadata: CallMetadata = { headers: noMetadata, trailers: noMetadata };

function unwritable(): Failure {
  return gatewayFailure("INTERNAL", "the response could not be written");
}

/** Streams that are flushed one after the other; bounded, so that the first does not wait for all. */
const streamsPerFlush = 32;
let flushed: HttpStream[] = [];

/** At the end of this turn. */
function flushLater(stream: HttpStream): void {
  if (flushed.length === 0 || flushed.length === streamsPerFlush) {
    flushed = [];
    setImmediate(flushAll, flushed);
  }
  flushed.push(stream);
}

function flushAll(streams: HttpStream[]): void {
  if (flushed === streams) flushed = [];
  for (const stream of streams) stream.flushScheduled();
}

function joined(parts: readonly BodyPart[]): BodyPart {
  return parts.length === 1 ? (parts[0] as BodyPart) : Buffer.concat(parts.map(bytesOf));
}
