import type { TrpcSink } from "../../../src/upstream/trpc/frame.js";
import { TrpcReader } from "../../../src/upstream/trpc/frame.js";
import { ResponseHeader } from "../../../src/upstream/trpc/response-header.js";

/** Bytes of a frame that the readers of tests take. */
export const maxTotal = 10 * 1024 * 1024;

/** Reads responses as a connection does, and notes what it finds in words. */
export class FrameRecorder implements TrpcSink {
  readonly events: string[] = [];
  readonly #head = new ResponseHeader();

  onHeader(id: number, bytes: Buffer, from: number, to: number, size: number): number {
    const head = this.#head;
    if (!head.read(bytes, from, to)) {
      this.events.push(`${id}: no message`);
      return -1;
    }
    const { requestId, ret, funcRet, errorMessage, contentType, contentEncoding, attachmentSize } = head;
    const info = head
      .metadata([])
      .map(
        ([name, value]) =>
          `${name}=${typeof value === "string" ? value : Buffer.from(value).toString("hex")}`,
      );
    this.events.push(
      `${id}: id ${requestId} ret ${ret} func_ret ${funcRet} "${errorMessage}" type ${contentType}` +
        ` encoding ${contentEncoding} attachment ${attachmentSize} {${info.join(" ")}}`,
    );
    return attachmentSize > size ? -1 : size - attachmentSize;
  }

  onBody(body: Buffer): void {
    this.events.push(`body ${body.toString("hex")}`);
  }

  onUnreadable(id: number, why: string): void {
    this.events.push(`${id}: ${why}`);
  }

  onOversized(id: number, total: number): void {
    this.events.push(`${id}: ${total} bytes`);
  }
}

/** What a reader finds in `bytes` that come in pieces of these sizes, in turn. @throws TrpcError */
export function eventsOf(bytes: Buffer, sizes: readonly number[] = [bytes.length]): string[] {
  const recorder = new FrameRecorder();
  const reader = new TrpcReader(recorder, maxTotal);
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length]!);
    const to = Math.min(bytes.length, at + size);
    // A buffer of its own that is overwritten, as that of a socket is.
    const piece = Buffer.from(bytes.subarray(at, to));
    reader.read(piece, 0, piece.length);
    piece.fill(0xee);
    at = to;
  }
  return recorder.events;
}
