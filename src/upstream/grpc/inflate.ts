import { gunzip } from "node:zlib";
import { Code } from "../../status/code.js";
import { failure, protocolFailure, type StreamOutcome } from "../transport.js";

/**
 * Decompresses a message that is marked as compressed. Never gives more than `maxSize` bytes, nor makes them.
 * `encoding` is the answer's `grpc-encoding`. `done` is called
 * later, with the message or with how the call fails.
 */
export function inflate(
  bytes: Buffer,
  encoding: string | undefined,
  maxSize: number,
  done: (result: Buffer | StreamOutcome) => void,
): void {
  if (encoding !== "gzip") {
    const name = encoding === undefined ? "no grpc-encoding" : `grpc-encoding "${encoding.slice(0, 64)}"`;
    queueMicrotask(() => done(protocolFailure(`a message is compressed with ${name}, expected gzip`)));
    return;
  }
  // One byte beyond the limit tells what is too large from what is just as large.
  gunzip(bytes, { maxOutputLength: maxSize + 1 }, (error, message) => {
    if (error === null && message.length <= maxSize) {
      done(message);
    } else if (error === null || ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE")) {
      const text = `Received message that decompresses to a size larger than max (${maxSize})`;
      done(failure(Code.RESOURCE_EXHAUSTED, "size", text));
    } else {
      done(protocolFailure(`Failed to decompress a message: ${error.message}`));
    }
  });
}
