import type { ClientCertificate } from "../auth/caller.js";
import type { Compression } from "../compression/compression.js";
import {
  createExpander,
  ExpandedTooLargeError,
  expand,
  type RequestCoding,
  trailingBytes,
} from "../compression/expand.js";
import { gatewayError } from "../status/failure.js";
import {
  type BodyConsumer,
  type BodyReader,
  BodyTooLargeError,
  type InboundRequest,
  MalformedBodyError,
  noBody,
} from "./inbound-request.js";

/** The request, its body expanded where it is compressed and the configuration takes that. */
export function expandedRequest(request: InboundRequest, { requestCodings }: Compression): InboundRequest {
  const compressed = requestCodings.length > 0 && request.header("content-encoding") !== undefined;
  return compressed ? new ExpandedRequest(request, requestCodings) : request;
}

/**
 * A request whose body is read expanded: its limits count the bytes of both, and nothing else sees that it was
 * compressed.
 */
export class ExpandedRequest implements InboundRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly version: InboundRequest["version"];
  readonly remoteAddress: string;
  readonly encrypted: boolean;
  readonly cancellation: InboundRequest["cancellation"];
  readonly hasBody: boolean;
  readonly upgrade: InboundRequest["upgrade"];
  readonly #request: InboundRequest;
  readonly #codings: readonly RequestCoding[];

  /** @param codings that are taken */
  constructor(request: InboundRequest, codings: readonly RequestCoding[]) {
    this.method = request.method;
    this.path = request.path;
    this.query = request.query;
    this.version = request.version;
    this.remoteAddress = request.remoteAddress;
    this.encrypted = request.encrypted;
    this.cancellation = request.cancellation;
    this.hasBody = request.hasBody;
    this.upgrade = request.upgrade;
    this.#request = request;
    this.#codings = codings;
  }

  certificate(): ClientCertificate | undefined {
    return this.#request.certificate?.();
  }

  header(name: string): string | undefined {
    return name === "content-encoding" || name === "content-length" ? undefined : this.#request.header(name);
  }

  headers(): Readonly<Record<string, string>> {
    const { "content-encoding": _, "content-length": __, ...headers } = this.#request.headers();
    return headers;
  }

  /** @throws GatewayError UNSUPPORTED_MEDIA_TYPE */
  body(limit: number): Uint8Array | Promise<Uint8Array> {
    if (!this.hasBody) return noBody;
    const coding = this.#coding();
    const body = this.#request.body(limit);
    if (coding === undefined || (body instanceof Uint8Array && body.length === 0)) return body;
    return Promise.resolve(body).then(bytes =>
      bytes.length === 0
        ? bytes
        : expand(bytes, coding, limit).catch(error => Promise.reject(bodyError(error, coding))),
    );
  }

  /** @throws GatewayError UNSUPPORTED_MEDIA_TYPE */
  stream(limit: number, slow?: "slow"): BodyReader {
    const reader = this.#request.stream(limit, slow);
    if (!this.hasBody) return reader;
    const coding = this.#coding();
    return coding === undefined ? reader : new ExpandingReader(reader, coding, limit);
  }

  /** Undefined where the body is not compressed. */
  #coding(): RequestCoding | undefined {
    const written = this.#request.header("content-encoding") ?? "";
    const name = written.trim().toLowerCase();
    if (name === "" || name === "identity") return undefined;
    const coding = this.#codings.find(each => each === (name === "x-gzip" ? "gzip" : name));
    if (coding !== undefined) return coding;
    const taken = this.#codings.join(", ");
    throw gatewayError(
      "UNSUPPORTED_MEDIA_TYPE",
      `expected content-encoding ${this.#codings.join(" or ")}, found "${written.slice(0, 64)}"`,
      [],
      { headers: [["accept-encoding", taken]] },
    );
  }
}

function bodyError(error: unknown, coding: RequestCoding): Error {
  if (error instanceof ExpandedTooLargeError) return new BodyTooLargeError();
  return new MalformedBodyError(`the body is not valid ${coding}: ${(error as Error).message}`);
}

/** Expands a body piece by piece, as fast as its consumer takes it. */
class ExpandingReader implements BodyReader {
  readonly #reader: BodyReader;
  readonly #coding: RequestCoding;
  readonly #expander: ReturnType<typeof createExpander>;
  #left: number;
  #given = 0;
  #over = false;

  constructor(reader: BodyReader, coding: RequestCoding, limit: number) {
    this.#reader = reader;
    this.#coding = coding;
    this.#expander = createExpander(coding);
    this.#left = limit;
  }

  start(consumer: BodyConsumer): void {
    const expander = this.#expander;
    const fail = (error: Error): void => {
      if (this.#over) return;
      this.#over = true;
      this.#reader.pause();
      expander.destroy();
      consumer.fail(error);
    };
    expander.on("data", (chunk: Buffer) => {
      if (this.#over) return;
      this.#left -= chunk.length;
      if (this.#left < 0) fail(new BodyTooLargeError());
      else consumer.chunk(chunk);
    });
    expander.on("drain", () => this.#reader.resume());
    expander.on("error", error => fail(bodyError(error, this.#coding)));
    expander.on("end", () => {
      if (this.#over) return;
      if (expander.bytesWritten < this.#given) {
        fail(bodyError(trailingBytes(), this.#coding));
        return;
      }
      this.#over = true;
      consumer.end();
    });
    this.#reader.start({
      chunk: chunk => {
        if (this.#over) return;
        this.#given += chunk.length;
        if (!expander.write(chunk)) this.#reader.pause();
      },
      end: () => {
        // A body of no bytes is none.
        if (this.#given > 0) expander.end();
        else if (!this.#over) {
          this.#over = true;
          expander.destroy();
          consumer.end();
        }
      },
      fail,
    });
  }

  pause(): void {
    this.#expander.pause();
  }

  resume(): void {
    this.#expander.resume();
  }
}
