import {
  type BrotliDecompress,
  brotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  type Gunzip,
  gunzip,
  type Inflate,
  inflate,
} from "node:zlib";

/** The content codings (RFC 9110 §8.4.1) that request bodies may have. */
export const requestCodings = ["gzip", "deflate", "br"] as const;

export type RequestCoding = (typeof requestCodings)[number];

/** The expanded body exceeds its limit; thrown as soon as that is known. */
export class ExpandedTooLargeError extends Error {
  override readonly name = "ExpandedTooLargeError";
}

type Expander = Gunzip | Inflate | BrotliDecompress;

/** Expands the bytes written to it. `bytesWritten` counts the bytes that it has consumed. */
export function createExpander(coding: RequestCoding): Expander {
  switch (coding) {
    case "gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
  }
}

/** With `info` the result is not a Buffer alone. */
interface Expanded {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

type Expand = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength: number; readonly info: true },
  done: (error: NodeJS.ErrnoException | null, result: unknown) => void,
) => void;

const expanders: Readonly<Record<RequestCoding, unknown>> = {
  gzip: gunzip,
  deflate: inflate,
  br: brotliDecompress,
};

/**
 * Expands a whole body outside of the event loop.
 * @param limit bytes; never makes more than a few KiB above
 * @returns rejects with ExpandedTooLargeError, or with an Error that describes the malformed bytes
 */
export function expand(bytes: Uint8Array, coding: RequestCoding, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    (expanders[coding] as Expand)(bytes, { maxOutputLength: limit, info: true }, (error, result) => {
      if (error?.code === "ERR_BUFFER_TOO_LARGE") reject(new ExpandedTooLargeError());
      else if (error !== null) reject(error);
      else {
        const { buffer, engine } = result as Expanded;
        if (engine.bytesWritten === bytes.length) resolve(buffer);
        else reject(trailingBytes());
      }
    });
  });
}

/** More bytes follow the end of the compressed body. */
export function trailingBytes(): Error {
  return new Error("bytes follow its end");
}
