import {
  type BrotliCompress,
  type BrotliOptions,
  brotliCompress,
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  type Gzip,
  gzip,
  gzipSync,
  type ZlibOptions,
} from "node:zlib";
import { type PathGlob, pathGlob } from "../auth/policy/path-glob.js";
import { decodeText } from "../routing/percent.js";
import type { Template } from "../routing/template.js";
import { type Coding, type CodingChoice, chooseCoding } from "./accept-encoding.js";
import type { CompressionConfig } from "./config.js";
import type { RequestCoding } from "./expand.js";

/** Compresses pieces on their way. */
export type Compressor = Gzip | BrotliCompress;

/** Different Accept-Encoding headers that are remembered; browsers and libraries have a handful. */
const maxChoices = 256;
const maxChoiceChars = 256;

/** RPC over HTTP that compresses each message itself (gRPC, gRPC-Web, streams of Connect). */
const rpcType = /^application\/(grpc|connect\+)/;

/** Windows of streams: of 256 KiB for br (0.5 MiB of memory), of 32 KiB for gzip (0.25 MiB). */
const streamWindowBits = 18;

/** `http.compression` in the form in which requests use it. */
export class Compression {
  /** Bytes from which on a response is compressed. */
  readonly minSize: number;
  /** The codings that request bodies may have. */
  readonly requestCodings: readonly RequestCoding[];
  readonly #codings: readonly Coding[];
  readonly #quality: CompressionConfig["quality"];
  readonly #types: ReadonlySet<string>;
  /** Excluded types that end with `/*`, with the slash and without the star. */
  readonly #kinds: readonly string[];
  readonly #routes: readonly PathGlob[];
  readonly #choices = new Map<string, CodingChoice>();
  /** Whether all paths of a template are excluded, or none; undefined: some. */
  readonly #templates = new WeakMap<Template, boolean | "some">();

  constructor(config: CompressionConfig) {
    const types = config.exclude.content_types.map(type => type.toLowerCase());
    this.minSize = config.min_size;
    this.requestCodings = config.requests;
    this.#codings = config.encodings;
    this.#quality = config.quality;
    this.#types = new Set(types);
    this.#kinds = types.filter(type => type.endsWith("/*")).map(type => type.slice(0, -1));
    this.#routes = config.exclude.routes.map(pathGlob);
  }

  choose(acceptEncoding: string | undefined): CodingChoice {
    const key = acceptEncoding ?? "";
    let choice = this.#choices.get(key);
    if (choice === undefined) {
      choice = chooseCoding(acceptEncoding, this.#codings);
      if (key.length > maxChoiceChars) return choice;
      if (this.#choices.size >= maxChoices) this.#choices.clear();
      this.#choices.set(key, choice);
    }
    return choice;
  }

  /** Whether a response of that Content-Type may be compressed. */
  takesType(contentType: string): boolean {
    const end = contentType.indexOf(";");
    const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
    return !this.#types.has(type) && !this.#kinds.some(kind => type.startsWith(kind)) && !rpcType.test(type);
  }

  /**
   * Whether the responses to that path may be compressed.
   * @param template of the route; undefined where no route has the path
   * @param path raw
   */
  takesRoute(template: Template | undefined, path: string): boolean {
    if (this.#routes.length === 0) return true;
    let excluded = template && this.#templates.get(template);
    if (template !== undefined && excluded === undefined) {
      const coverages = this.#routes.map(glob => glob.coverage(template));
      excluded = coverages.includes("always") || (coverages.includes("depends") && "some");
      this.#templates.set(template, excluded);
    }
    if (typeof excluded === "boolean") return !excluded;
    const segments = path
      .split("/")
      .slice(1)
      .map(segment => decodeText(segment) ?? segment);
    return !this.#routes.some(glob => glob.matches(segments));
  }

  compressNow(coding: Coding, bytes: Uint8Array): Buffer {
    return coding === "br"
      ? brotliCompressSync(bytes, this.#brotli(bytes.length))
      : gzipSync(bytes, this.#gzip(bytes.length));
  }

  /** Outside of the event loop. @param done is called later, without bytes where it has failed */
  compressLater(coding: Coding, bytes: Uint8Array, done: (compressed: Buffer | undefined) => void): void {
    const callback = (error: Error | null, compressed: Buffer): void =>
      done(error === null ? compressed : undefined);
    if (coding === "br") brotliCompress(bytes, this.#brotli(bytes.length), callback);
    else gzip(bytes, this.#gzip(bytes.length), callback);
  }

  /** @param flushed whether the client gets each piece at once, not when enough has come together */
  compressor(coding: Coding, flushed: boolean): Compressor {
    if (coding === "br") {
      return createBrotliCompress({
        ...this.#brotli(undefined),
        flush: flushed ? constants.BROTLI_OPERATION_FLUSH : constants.BROTLI_OPERATION_PROCESS,
      });
    }
    return createGzip({
      ...this.#gzip(undefined),
      flush: flushed ? constants.Z_SYNC_FLUSH : constants.Z_NO_FLUSH,
    });
  }

  /** @param size of the uncompressed body; undefined where that is not known */
  #brotli(size: number | undefined): BrotliOptions {
    const params: Record<number, number> = { [constants.BROTLI_PARAM_QUALITY]: this.#quality.br };
    params[constants.BROTLI_PARAM_LGWIN] =
      size === undefined
        ? streamWindowBits
        : Math.min(Math.max(bitsOf(size) + 1, constants.BROTLI_MIN_WINDOW_BITS), 22);
    if (size !== undefined) params[constants.BROTLI_PARAM_SIZE_HINT] = size;
    return { params };
  }

  /** The less room, the less there is to prepare: for 1 KiB that is half of the work. */
  #gzip(size: number | undefined): ZlibOptions {
    const level = this.#quality.gzip;
    if (size === undefined) return { level };
    const windowBits = Math.min(Math.max(bitsOf(size), 9), 15);
    return { level, windowBits, memLevel: Math.min(8, windowBits - 6), chunkSize: outputSize(size) };
  }
}

/** Bits of a window that holds so many bytes. */
function bitsOf(size: number): number {
  return Math.ceil(Math.log2(size + 1));
}

/** Pieces in which the result comes. */
function outputSize(size: number): number {
  return Math.min(Math.max(1024, size >> 1), 65_536);
}
