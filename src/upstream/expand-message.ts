import { errorMessage } from "../net/error-text.js";
import { ExpansionError, expand } from "../net/gzip.js";
import { Code } from "../status/code.js";
import { failure, protocolFailure, type StreamOutcome } from "./transport.js";

/**
 * Decompresses a message that is compressed with gzip. Never gives more than `maxSize` bytes, nor makes them. `done` is
 * called later, with the message or with how the call fails.
 */
export function expandMessage(
  bytes: Uint8Array,
  maxSize: number,
  done: (result: Buffer | StreamOutcome) => void,
): void {
  later(() => expand(bytes, maxSize)).then(done, (error: unknown) => {
    if (error instanceof ExpansionError && error.tooLarge) {
      const text = `Received message that decompresses to a size larger than max (${maxSize})`;
      done(failure(Code.RESOURCE_EXHAUSTED, "size", text));
    } else {
      const why = errorMessage(error);
      done(protocolFailure(`Failed to decompress a message: ${why}`));
    }
  });
}

async function later<T>(work: () => T | Promise<T>): Promise<T> {
  return work();
}
