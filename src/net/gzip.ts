import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";

/** Up to this many bytes the work is done at once: handing it to another thread would cost more. */
const atOnce = 4096;

export function compress(bytes: Uint8Array): Buffer | Promise<Buffer> {
  if (bytes.length <= atOnce) return gzipSync(bytes);
  return new Promise((resolve, reject) => {
    gzip(bytes, (error, compressed) => (error === null ? resolve(compressed) : reject(error)));
  });
}

/** Why bytes were not expanded: they are no gzip, or give more than the limit. */
export class ExpansionError extends Error {
  readonly tooLarge: boolean;

  constructor(tooLarge: boolean, message: string) {
    super(message);
    this.tooLarge = tooLarge;
  }
}

/**
 * Never gives more than `limit` bytes, nor makes them.
 * @throws (or rejects with) ExpansionError
 */
export function expand(bytes: Uint8Array, limit: number): Buffer | Promise<Buffer> {
  // One byte beyond the limit, so that just the limit is allowed; 0 would mean none.
  const maxOutputLength = limit + 1;
  if (bytes.length <= atOnce) {
    let expanded: Buffer;
    try {
      expanded = gunzipSync(bytes, { maxOutputLength });
    } catch (error) {
      throw expansionError(error);
    }
    if (expanded.length > limit) throw expansionError(tooLarge);
    return expanded;
  }
  return new Promise((resolve, reject) => {
    gunzip(bytes, { maxOutputLength }, (error, expanded) => {
      if (error === null && expanded.length <= limit) resolve(expanded);
      else reject(expansionError(error ?? tooLarge));
    });
  });
}

const tooLarge = { code: "ERR_BUFFER_TOO_LARGE" };

function expansionError(error: unknown): ExpansionError {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : "more than allowed";
  return new ExpansionError(code === tooLarge.code, message);
}
