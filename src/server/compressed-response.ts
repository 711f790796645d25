import type { Coding } from "../compression/accept-encoding.js";
import type { Compression, Compressor } from "../compression/compression.js";
import type { HeaderList } from "../net/headers.js";
import type { Template } from "../routing/template.js";
import type { InboundRequest } from "./inbound-request.js";
import {
  announcedLength,
  type BodyWriter,
  bytesOf,
  type ResponseWriter,
  withoutContent,
} from "./response-writer.js";

/** A response in one piece of up to so many bytes is compressed at once: longer ones cost too much of one turn. */
const maxAtOnceBytes = 16_384;
/** Bytes of responses that are being compressed outside of the event loop. Where there are more, they go out as they are. */
const maxAsideBytes = 64 << 20;
/** Streams that are compressed at a time, up to 1 MiB of memory each; further ones go out as they are. */
const maxStreams = 256;
/** Bytes of a stream that wait for the compressor before its writer has to wait. */
const maxPendingBytes = 65_536;

let asideBytes = 0;
const streams = new Set<CompressedBody>();

/** Where a request is in the routes; known once it is matched. */
interface RoutedRequest {
  readonly binding: { readonly template: Template } | undefined;
}

/** Compresses the response to one request where the client takes it and the configuration allows it. */
export class CompressedResponse implements ResponseWriter {
  readonly #request: InboundRequest;
  readonly #response: ResponseWriter;
  readonly #compression: Compression;
  readonly #routed: RoutedRequest;
  #body: CompressedBody | undefined;

  constructor(
    request: InboundRequest,
    response: ResponseWriter,
    compression: Compression,
    routed: RoutedRequest,
  ) {
    this.#request = request;
    this.#response = response;
    this.#compression = compression;
    this.#routed = routed;
  }

  send(status: number, headers: HeaderList, body: string | Uint8Array): void {
    const size = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    const { coding, fields } = this.#negotiate(status, headers, size);
    if (coding === undefined || size === 0) {
      this.#response.send(status, fields, body);
      return;
    }
    const bytes = bytesOf(body);
    if (size <= maxAtOnceBytes) {
      this.#response.send(status, codedFields(fields, coding), this.#compression.compressNow(coding, bytes));
      return;
    }
    if (asideBytes + size > maxAsideBytes) {
      this.#response.send(status, fields, body);
      return;
    }
    asideBytes += size;
    this.#compression.compressLater(coding, bytes, compressed => {
      asideBytes -= size;
      if (compressed === undefined) this.#response.send(status, fields, body);
      else this.#response.send(status, codedFields(fields, coding), compressed);
    });
  }

  open(status: number, headers: HeaderList): BodyWriter {
    const length = announcedLength(headers);
    const { coding, fields } = this.#negotiate(status, headers, length);
    if (coding === undefined) return this.#response.open(status, fields);
    if (withoutContent(this.#request.method, status))
      return this.#response.open(status, codedFields(fields, coding));
    if (streams.size >= maxStreams) forgetAbandoned();
    if (streams.size >= maxStreams) return this.#response.open(status, fields);
    this.#body = new CompressedBody(
      this.#request,
      this.#response,
      // A body of known length is a file, which need not arrive piece by piece.
      this.#compression.compressor(coding, length === undefined),
      this.#response.open(status, codedFields(fields, coding)),
      length,
    );
    return this.#body;
  }

  abandon(): void {
    this.#body?.destroy();
    this.#response.abandon();
  }

  /**
   * @param size bytes of the body; undefined where that is not known
   * @returns the coding to use, none for an uncompressed body, and the headers with those about the coding
   */
  #negotiate(status: number, headers: HeaderList, size: number | undefined): Negotiated {
    const unchanged: Negotiated = { coding: undefined, fields: headers };
    const compression = this.#compression;
    if (status < 200 || uncoded.has(status)) return unchanged;
    let type: string | undefined;
    let varies = false;
    for (const [name, value] of headers) {
      if (notCompressedWith.has(name) || (name === "cache-control" && noTransform.test(value)))
        return unchanged;
      if (name === "content-type") type = value;
      else if (name === "vary") varies ||= /(^|,)\s*(\*|accept-encoding)\s*(,|$)/i.test(value);
    }
    const choice = compression.choose(this.#request.header("accept-encoding"));
    // The cached response has another entity tag, if it was compressed.
    if (status === 304) return { coding: undefined, fields: choice.coding ? weakened(headers) : headers };
    if (type === undefined || !compression.takesType(type)) return unchanged;
    if (!compression.takesRoute(this.#routed.binding?.template, this.#request.path)) return unchanged;
    // A client that refuses uncompressed bodies gets a short response compressed, too.
    if (size !== undefined && size < compression.minSize && choice.identity) return unchanged;
    const mustNotTransform = noTransform.test(this.#request.header("cache-control") ?? "");
    const fields: HeaderList = varies ? headers : [...headers, ["vary", "Accept-Encoding"]];
    return { coding: mustNotTransform ? undefined : choice.coding, fields };
  }
}

interface Negotiated {
  readonly coding: Coding | undefined;
  readonly fields: HeaderList;
}

/** Responses without content, with content that must not be coded, or with a part of a coded whole. */
const uncoded: ReadonlySet<number> = new Set([204, 205, 206]);

/** With one of these the bytes of a response stay as they are: they are compressed, a range, or covered by a digest. */
const notCompressedWith: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-range",
  "content-digest",
  "content-md5",
  "digest",
  "repr-digest",
]);

/** RFC 9111 §5.2.1.6, §5.2.2.6 */
const noTransform = /(^|,)\s*no-transform\s*(,|$)/i;

/** The headers of a response that is compressed. */
function codedFields(fields: HeaderList, coding: Coding): HeaderList {
  const coded = weakened(fields).filter(([name]) => name !== "content-length" && name !== "accept-ranges");
  return [...coded, ["content-encoding", coding]];
}

/** Bytes that may differ have no strong validator (RFC 9110 §8.8.1). */
function weakened(fields: HeaderList): HeaderList {
  return fields.map(field =>
    field[0] === "etag" && field[1].startsWith('"') ? (["etag", `W/${field[1]}`] as const) : field,
  );
}

/** Streams whose clients have left count no more, even if their writers have not ended. */
function forgetAbandoned(): void {
  for (const stream of streams) stream.destroyIfAbandoned();
}

/**
 * Compresses a body as it is written. Chunks written while the compressor works are compressed together afterwards: a
 * message is sent as soon as possible, and a fast stream costs no work for each message.
 */
class CompressedBody implements BodyWriter {
  readonly #request: InboundRequest;
  readonly #response: ResponseWriter;
  readonly #compressor: Compressor;
  /** Bytes that are still to come, where that is known. */
  #left: number | undefined;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** The compressor works, or is about to. */
  #busy = false;
  #endRequested = false;
  #trailers: HeaderList | undefined;
  #over = false;
  #behind = false;
  #drained: (() => void) | undefined;

  constructor(
    request: InboundRequest,
    response: ResponseWriter,
    compressor: Compressor,
    target: BodyWriter,
    length: number | undefined,
  ) {
    this.#request = request;
    this.#response = response;
    this.#compressor = compressor;
    this.#left = length;
    streams.add(this);
    compressor.on("data", (chunk: Buffer) => {
      if (!target.write(chunk)) compressor.pause();
    });
    compressor.on("end", () => {
      this.destroy();
      target.end(this.#trailers);
    });
    compressor.on("error", () => this.#abandon());
    target.onDrain(() => compressor.resume());
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#over || this.#endRequested || chunk.length === 0) return !this.#behind;
    const bytes = bytesOf(chunk);
    if (this.#left !== undefined) {
      this.#left -= bytes.length;
      if (this.#left < 0) {
        this.#abandon();
        return true;
      }
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= maxPendingBytes) this.#behind = true;
    this.#schedule();
    return !this.#behind;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  end(trailers?: HeaderList): void {
    if (this.#over || this.#endRequested) return;
    if (this.#left !== undefined && this.#left > 0) {
      this.#abandon();
      return;
    }
    this.#endRequested = true;
    this.#trailers = trailers;
    this.#schedule();
  }

  destroy(): void {
    this.#over = true;
    this.#pending = [];
    streams.delete(this);
    this.#compressor.destroy();
  }

  destroyIfAbandoned(): void {
    if (this.#request.cancellation.cancelled) this.destroy();
  }

  #abandon(): void {
    if (this.#over) return;
    this.destroy();
    this.#response.abandon();
  }

  /** Chunks that are written in one turn are compressed together. */
  #schedule(): void {
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#compress());
  }

  #compress(): void {
    if (this.#over) return;
    if (this.#pendingBytes === 0) {
      this.#busy = false;
      if (this.#endRequested) this.#compressor.end();
      return;
    }
    const [first] = this.#pending;
    const bytes = this.#pending.length === 1 ? (first as Uint8Array) : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#endRequested) {
      this.#compressor.end(bytes);
      return;
    }
    this.#compressor.write(bytes, () => this.#compressed());
  }

  #compressed(): void {
    if (this.#over) return;
    if (this.#behind) {
      this.#behind = false;
      this.#drained?.();
    }
    this.#compress();
  }
}
