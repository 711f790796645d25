import { ByteWriter } from "../../h2/bytes.js";
import type { Metadata } from "../channel.js";
import { checkPath } from "../transport.js";
import { frameHeadSize, maxHeaderSize, writeFrameHead } from "./frame.js";
import { checkTransInfo, writeTransInfo, writeVarint } from "./trans-info.js";

/** Tags of `RequestProtocol` (trpc.proto): number and wire type. Version and content type are 0 and not written. */
const Tag = {
  CallType: 0x10,
  RequestId: 0x18,
  Timeout: 0x20,
  Caller: 0x2a,
  Callee: 0x32,
  Func: 0x3a,
  ContentEncoding: 0x58,
} as const;

/** Of the frame; servers respond in the same. */
const clientVersion = 1;
const oneWay = 1;
const gzip = 1;
/** The most that call type, request id, timeout and encoding take. */
const numbersSize = 16;
const maxTimeoutMs = 0xffff_ffff;

/** Headers of this many paths are kept; more than that come only from outside, and do not repeat. */
const maxPaths = 4096;
/** Bytes of a header that is kept. */
const maxBlock = 1024;

/** Common to the requests of one upstream. */
export interface RequestNames {
  readonly caller: string;
  /** Undefined: the name of the service. */
  readonly callee: string | undefined;
  /** Paths of the methods that are called without waiting for a response. */
  readonly oneWay: ReadonlySet<string>;
}

/** The part of the header that depends on the path alone. */
export interface RequestBlock {
  readonly bytes: Buffer;
  readonly oneWay: boolean;
}

/** Writes the headers of requests. Fields that depend only on the path are written once. */
export class RequestHeaders {
  readonly #names: RequestNames;
  readonly #blocks = new Map<string, RequestBlock>();

  constructor(names: RequestNames) {
    this.#names = names;
  }

  /** @throws Error where it is no path of a method */
  block(path: string): RequestBlock {
    let block = this.#blocks.get(path);
    if (block === undefined) {
      block = this.#encode(path);
      if (block.bytes.length > maxBlock) return block;
      if (this.#blocks.size >= maxPaths) this.#blocks.clear();
      this.#blocks.set(path, block);
    }
    return block;
  }

  #encode(path: string): RequestBlock {
    checkPath(path);
    const { caller, callee, oneWay: oneWayPaths } = this.#names;
    const out = new ByteWriter(256);
    writeText(out, Tag.Caller, caller);
    writeText(out, Tag.Callee, callee ?? path.slice(1, path.lastIndexOf("/")));
    writeText(out, Tag.Func, path);
    return { bytes: Buffer.from(out.bytes.subarray(0, out.length)), oneWay: oneWayPaths.has(path) };
  }
}

function writeText(out: ByteWriter, tag: number, text: string): void {
  const bytes = Buffer.from(text, "utf8");
  out.reserve(6);
  out.bytes[out.length++] = tag;
  writeVarint(out, bytes.length);
  out.append(bytes);
}

/**
 * Checks that the header of a call can be sent.
 * @throws Error naming metadata that cannot be sent, or that the header would be longer than one of tRPC can be
 */
export function checkHeader(block: RequestBlock, metadata: Metadata): void {
  const size = block.bytes.length + numbersSize + checkTransInfo(metadata);
  if (size > maxHeaderSize)
    throw new Error(`metadata of ${size} bytes cannot be sent, at most ${maxHeaderSize} are allowed`);
}

/** The values of the header of a request. */
export interface RequestParts {
  readonly block: RequestBlock;
  /** Milliseconds; undefined: none. */
  readonly timeout: number | undefined;
  readonly metadata: Metadata;
  /** The body is compressed with gzip. */
  readonly compressed: boolean;
}

/** Writes the frame of a request whose header was checked. */
export function writeRequest(
  out: ByteWriter,
  id: number,
  { block, timeout, metadata, compressed }: RequestParts,
  body: Uint8Array,
): void {
  const start = out.length;
  out.reserve(frameHeadSize + block.bytes.length + numbersSize);
  out.length += frameHeadSize;
  if (block.oneWay) {
    out.bytes[out.length++] = Tag.CallType;
    out.bytes[out.length++] = oneWay;
  }
  out.bytes[out.length++] = Tag.RequestId;
  writeVarint(out, id);
  if (timeout !== undefined) {
    out.bytes[out.length++] = Tag.Timeout;
    writeVarint(out, Math.min(Math.max(1, Math.ceil(timeout)), maxTimeoutMs));
  }
  out.append(block.bytes);
  writeTransInfo(out, metadata);
  if (compressed) {
    out.reserve(2);
    out.bytes[out.length++] = Tag.ContentEncoding;
    out.bytes[out.length++] = gzip;
  }
  const header = out.length - start - frameHeadSize;
  out.append(body);
  writeFrameHead(out.bytes, start, out.length - start, header, id, clientVersion);
}
