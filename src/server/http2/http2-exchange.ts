import type { ClientCertificate } from "../../auth/caller.js";
import type { Cancellation } from "../../net/cancellation.js";
import type { HeaderList } from "../../net/headers.js";
import {
  type BodyReader,
  BodyTimeoutError,
  collectBody,
  emptyBody,
  type InboundRequest,
  noBody,
} from "../inbound-request.js";
import {
  announcedLength,
  type BodyWriter,
  bytesOf,
  discardingWriter,
  isHeaderValue,
  type ResponseWriter,
  withoutContent,
} from "../response-writer.js";
import type { ServerStream } from "./server-stream.js";

/** Common to the requests of one connection. */
export interface Http2Peer {
  readonly remoteAddress: string;
  readonly encrypted: boolean;
  certificate(): ClientCertificate | undefined;
}

/** The part of the connection that exchanges use. */
export interface ExchangeHost {
  readonly client: Http2Peer;
  /** Milliseconds for a body that is waited for. */
  readonly requestTimeout: number;
  /** The connection is to take no more requests. */
  retire(): void;
}

/** A request and its response over a stream of HTTP/2. */
export class Http2Exchange implements InboundRequest, ResponseWriter {
  readonly version = 2;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly upgrade = undefined;
  readonly #stream: ServerStream;
  readonly #host: ExchangeHost;

  constructor(stream: ServerStream, host: ExchangeHost) {
    const { method, path } = stream.head;
    const mark = path.indexOf("?");
    this.method = method;
    this.path = mark < 0 ? path : path.slice(0, mark);
    this.query = mark < 0 ? "" : path.slice(mark + 1);
    this.#stream = stream;
    this.#host = host;
  }

  get remoteAddress(): string {
    return this.#host.client.remoteAddress;
  }

  get encrypted(): boolean {
    return this.#host.client.encrypted;
  }

  get cancellation(): Cancellation {
    return this.#stream.cancellation;
  }

  get hasBody(): boolean {
    const { body, head } = this.#stream;
    return body !== undefined && head.contentLength !== 0 && (!body.complete || body.received > 0);
  }

  certificate(): ClientCertificate | undefined {
    return this.#host.client.certificate();
  }

  header(name: string): string | undefined {
    return this.#stream.head.header(name);
  }

  headers(): Readonly<Record<string, string>> {
    return this.#stream.head.headers();
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    const { body } = this.#stream;
    if (body === undefined) return noBody;
    const whole = body.whole(limit);
    if (whole !== undefined) return whole;
    const timer = setTimeout(() => body.fail(new BodyTimeoutError()), this.#host.requestTimeout);
    return collectBody(body.reader(limit), () => clearTimeout(timer));
  }

  stream(limit: number): BodyReader {
    return this.#stream.body?.reader(limit) ?? emptyBody;
  }

  send(status: number, headers: HeaderList, body: string | Uint8Array): void {
    const stream = this.#stream;
    const bytes = bytesOf(body);
    const counted = status !== 204 && status !== 304 && (bytes.length > 0 || !isGrpc(headers));
    if (!stream.respond(status, headers, counted ? bytes.length : undefined)) return;
    this.#lookForClose(headers);
    if (!withoutContent(this.method, status)) stream.push(bytes);
    stream.finish();
  }

  open(status: number, headers: HeaderList): BodyWriter {
    const stream = this.#stream;
    if (!stream.respond(status, headers, undefined)) return discardingWriter;
    this.#lookForClose(headers);
    if (withoutContent(this.method, status)) {
      stream.finish();
      return discardingWriter;
    }
    stream.flush();
    return new Http2BodyWriter(stream, announcedLength(headers));
  }

  abandon(): void {
    this.#stream.abandon();
  }

  #lookForClose(headers: HeaderList): void {
    for (const [name, value] of headers) if (name === "connection" && value === "close") this.#host.retire();
  }
}

class Http2BodyWriter implements BodyWriter {
  readonly #stream: ServerStream;
  /** Bytes of the announced length that are still to come. */
  #left: number | undefined;

  constructor(stream: ServerStream, length: number | undefined) {
    this.#stream = stream;
    this.#left = length;
  }

  write(chunk: string | Uint8Array): boolean {
    const stream = this.#stream;
    const bytes = bytesOf(chunk);
    if (this.#left !== undefined) {
      this.#left -= bytes.length;
      if (this.#left < 0) {
        stream.abandon();
        return true;
      }
    }
    const more = stream.push(bytes);
    stream.flush();
    return more;
  }

  onDrain(listener: () => void): void {
    this.#stream.onDrain(listener);
  }

  end(trailers?: HeaderList): void {
    if (this.#left !== undefined && this.#left > 0) this.#stream.abandon();
    else this.#stream.finish(trailers?.filter(([, value]) => isHeaderValue(value)));
  }
}

/** Responses of gRPC that are all head: a length is nothing that their clients expect. */
function isGrpc(headers: HeaderList): boolean {
  for (const [name, value] of headers)
    if (name === "content-type") return /^application\/grpc($|[+;])/.test(value);
  return false;
}
