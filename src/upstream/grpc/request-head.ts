import { ByteWriter } from "../../h2/bytes.js";
import { encodedName, indexedField, writeIndexedName, writeString } from "../../h2/hpack-encoder.js";
import type { Metadata, PassedEncodings } from "../channel.js";
import { checkPath } from "../transport.js";
import { checkMetadata, maxHeaderList } from "./metadata.js";

/** Blocks of this many paths are kept; more than that come only from outside, and do not repeat. */
const maxPaths = 4096;
/** Bytes of a block that is kept. */
const maxBlock = 1024;

/** Indexes of RFC 7541 Appendix A whose names, or names and values, requests use. */
const Static = {
  Authority: 1,
  MethodPost: 3,
  Path: 4,
  SchemeHttp: 6,
  SchemeHttps: 7,
  ContentType: 31,
  UserAgent: 58,
} as const;

/** Common to the requests of one endpoint. */
export interface RequestOrigin {
  readonly secure: boolean;
  readonly authority: string;
  readonly userAgent: string;
  /** `grpc-accept-encoding` */
  readonly accepted?: string | undefined;
}

/**
 * Writes the header blocks of requests (gRPC over HTTP/2, Requests). Fields that depend only on the path are written
 * once. The dynamic table is not used: it would cost more here than it saves on the wire.
 */
export class RequestHeads {
  readonly #origin: RequestOrigin;
  readonly #blocks = new Map<string, Buffer>();

  constructor(origin: RequestOrigin) {
    this.#origin = origin;
  }

  /**
   * The part of the block that depends on the path alone.
   * @throws Error where it is no path of a gRPC method
   */
  block(path: string): Buffer {
    let block = this.#blocks.get(path);
    if (block === undefined) {
      checkPath(path);
      block = this.#encode(path);
      if (block.length > maxBlock) return block;
      if (this.#blocks.size >= maxPaths) this.#blocks.clear();
      this.#blocks.set(path, block);
    }
    return block;
  }

  #encode(path: string): Buffer {
    const { secure, authority, userAgent, accepted } = this.#origin;
    const out = new ByteWriter(256);
    out.append(
      Uint8Array.of(
        indexedField(Static.MethodPost),
        indexedField(secure ? Static.SchemeHttps : Static.SchemeHttp),
      ),
    );
    writeIndexedName(out, Static.Path, path);
    writeIndexedName(out, Static.Authority, authority);
    out.append(encodedName("te"));
    writeString(out, "trailers");
    writeIndexedName(out, Static.ContentType, "application/grpc");
    writeIndexedName(out, Static.UserAgent, userAgent);
    if (accepted !== undefined) {
      out.append(acceptedName);
      writeString(out, accepted);
    }
    return Buffer.from(out.bytes.subarray(0, out.length));
  }
}

/**
 * Checks the metadata of a call beside the block of its path. Returns how large both are as
 * SETTINGS_MAX_HEADER_LIST_SIZE counts, nearly: every field of a block has at least its bytes, and 32 more.
 * @throws Error naming the entry that HTTP/2 cannot carry or that is reserved, or stating that both exceed 64 KiB
 */
export function checkHead(block: Buffer, metadata: Metadata): number {
  const size = block.length + fixedFields * 32 + checkMetadata(metadata);
  if (size > maxHeaderList)
    throw new Error(`metadata of ${size} bytes cannot be sent, at most ${maxHeaderList} are allowed`);
  return size;
}

/** Fields of the block of a path, and `grpc-timeout`, `grpc-encoding` and `grpc-previous-rpc-attempts`. */
const fixedFields = 11;

const encodingName = encodedName("grpc-encoding");
const acceptedName = encodedName("grpc-accept-encoding");

export function writeEncoding(out: ByteWriter, encoding: string): void {
  out.append(encodingName);
  writeString(out, encoding);
}

/** Writes the encodings of a caller. */
export function writePassed(out: ByteWriter, { encoding, accepted }: PassedEncodings): void {
  if (encoding !== undefined) writeEncoding(out, encoding);
  if (accepted === undefined) return;
  out.append(acceptedName);
  writeString(out, accepted);
}

const timeoutName = encodedName("grpc-timeout");
const attemptsName = encodedName("grpc-previous-rpc-attempts");

/** `timeout`: milliseconds. */
export function writeTimeout(out: ByteWriter, timeout: number): void {
  out.append(timeoutName);
  writeString(out, timeoutText(timeout));
}

export function writePreviousAttempts(out: ByteWriter, attempts: number): void {
  out.append(attemptsName);
  writeString(out, String(attempts));
}

/** gRPC over HTTP/2, Timeout: at most eight digits and a unit. */
export function timeoutText(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds));
  if (whole < 1e8) return `${whole}m`;
  return `${Math.min(Math.ceil(whole / 1000), 99_999_999)}S`;
}
