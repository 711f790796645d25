import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { requestCodings } from "../../src/compression/expand.js";
import { Cancellation } from "../../src/net/cancellation.js";
import { ExpandedRequest } from "../../src/server/expanded-request.js";
import {
  type BodyConsumer,
  type BodyReader,
  BodyTooLargeError,
  bodyCutShort,
  collectBody,
  type InboundRequest,
  MalformedBodyError,
} from "../../src/server/inbound-request.js";

const compress = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
/** Less, in less time. What becomes of many zeros is more than streams of any Node.js hold, 64 KiB, except of br. */
const compressFast = {
  gzip: (bytes: Buffer) => gzipSync(bytes, { level: 1 }),
  deflate: (bytes: Buffer) => deflateSync(bytes, { level: 1 }),
  br: (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

/** A body that comes in pieces, none while it is paused. */
class Pieces implements BodyReader {
  readonly #chunks: Buffer[];
  readonly #failure: Error | undefined;
  #consumer: BodyConsumer | undefined;
  #paused = false;
  #over = false;
  given = 0;

  constructor(chunks: readonly Buffer[], failure?: Error) {
    this.#chunks = [...chunks];
    this.#failure = failure;
  }

  start(consumer: BodyConsumer): void {
    this.#consumer = consumer;
    this.#next();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#next();
  }

  #next(): void {
    setImmediate(() => {
      if (this.#paused || this.#over) return;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.given += chunk.length;
        this.#consumer?.chunk(chunk);
        this.#next();
        return;
      }
      this.#over = true;
      if (this.#failure === undefined) this.#consumer?.end();
      else this.#consumer?.fail(this.#failure);
    });
  }
}

function requestOf(reader: BodyReader, encoding: string): InboundRequest {
  const headers: Record<string, string> = {
    "content-encoding": encoding,
    "content-length": "1",
    accept: "x",
  };
  const request: InboundRequest = {
    version: 1,
    method: "POST",
    path: "/",
    query: "",
    remoteAddress: "127.0.0.1",
    encrypted: false,
    cancellation: new Cancellation(),
    hasBody: true,
    upgrade: undefined,
    header: name => headers[name],
    headers: () => headers,
    body: () => collectBody(reader),
    stream: () => reader,
  };
  return new ExpandedRequest(request, requestCodings);
}

function split(bytes: Buffer, size: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return chunks;
}

test("an expanded request says nothing of the coding and of the length that came", () => {
  const request = requestOf(new Pieces([]), "gzip");
  assert.deepEqual(request.headers(), { accept: "x" });
  assert.equal(request.header("content-encoding"), undefined);
  assert.equal(request.header("content-length"), undefined);
  assert.equal(request.header("accept"), "x");
});

for (const coding of requestCodings) {
  test(`a ${coding} stream gives the bytes that were compressed, however it is cut into pieces`, () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 5000 }),
        fc.integer({ min: 1, max: 2000 }),
        async (bytes, size) => {
          const pieces = new Pieces(split(compress[coding](bytes), size));
          const whole = await collectBody(requestOf(pieces, coding).stream(5000));
          assert.deepEqual(Buffer.from(whole), Buffer.from(bytes));
        },
      ),
      { numRuns: 30 },
    ));

  test(`a ${coding} stream fails as soon as its limit is passed, and reads no more`, async () => {
    const bomb = compressFast[coding](Buffer.alloc(64 << 20));
    const pieces = new Pieces(split(bomb, 256));
    await assert.rejects(collectBody(requestOf(pieces, coding).stream(100_000)), BodyTooLargeError);
    const { given } = pieces;
    assert.ok(given < bomb.length || bomb.length < 1 << 16);
    await new Promise(resolve => setTimeout(resolve, 20));
    assert.ok(pieces.given - given <= 256);
  });

  test(`a ${coding} stream that is cut short or followed by more is malformed`, async () => {
    const whole = compress[coding](Buffer.from("some text ".repeat(50)));
    const cut = new Pieces(split(whole.subarray(0, whole.length - 2), 10));
    await assert.rejects(collectBody(requestOf(cut, coding).stream(5000)), MalformedBodyError);
    const longer = new Pieces([...split(whole, 10), Buffer.from("more")]);
    await assert.rejects(collectBody(requestOf(longer, coding).stream(5000)), MalformedBodyError);
  });

  test(`a ${coding} stream whose client leaves fails with that`, async () => {
    const left = bodyCutShort();
    const whole = compress[coding](Buffer.from("some text ".repeat(50)));
    const pieces = new Pieces([whole.subarray(0, 10)], left);
    await assert.rejects(collectBody(requestOf(pieces, coding).stream(5000)), error => error === left);
  });

  test(`a ${coding} stream that is paused reads no more than it can hold`, async () => {
    const bytes = Buffer.alloc(16 << 20);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
    const pieces = new Pieces(split(compressFast[coding](bytes), 16_384));
    const reader = requestOf(pieces, coding).stream(bytes.length);
    let size = 0;
    const over = new Promise<void>((resolve, reject) => {
      reader.start({
        chunk: chunk => {
          if (size === 0) reader.pause();
          size += chunk.length;
        },
        end: resolve,
        fail: reject,
      });
    });
    while (size === 0) await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setTimeout(resolve, 50));
    assert.ok(size < 1 << 20);
    assert.ok(pieces.given < 1 << 20);
    reader.resume();
    await over;
    assert.equal(size, bytes.length);
  });
}

test("a stream without a byte is a body without one", async () => {
  const whole = await collectBody(requestOf(new Pieces([]), "gzip").stream(10));
  assert.equal(whole.length, 0);
});
