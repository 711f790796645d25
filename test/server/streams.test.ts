import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import { BodyTooLargeError, type InboundRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { BodyWriter, ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "./loopback.js";

const options: Omit<EngineOptions, "handle"> = {
  ...onLoopback,
};

const mebibyte = 1 << 20;
const head = "HTTP/1.1\r\nhost: a\r\n";
const last = `${head}connection: close\r\n\r\n`;

interface Exchange {
  readonly request: InboundRequest;
  readonly response: ResponseWriter;
}

/** The requests of an engine, one after the other. */
class Arrivals {
  readonly #waiting: ((exchange: Exchange) => void)[] = [];
  readonly #arrived: Exchange[] = [];

  readonly handle: EngineOptions["handle"] = (request, response) => {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push({ request, response });
    else waiting({ request, response });
  };

  next(): Promise<Exchange> {
    const arrived = this.#arrived.shift();
    return arrived === undefined
      ? new Promise(resolve => this.#waiting.push(resolve))
      : Promise.resolve(arrived);
  }
}

function open(engine: Engine, text: string): Socket {
  const socket = connect({ port: engine.port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  socket.setEncoding("latin1");
  socket.write(text, "latin1");
  return socket;
}

async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", chunk => {
    text += chunk;
  });
  await new Promise(resolve => socket.on("close", resolve));
  return text;
}

/** Until that has come. */
async function until(socket: Socket, pattern: RegExp): Promise<string> {
  let text = "";
  while (!pattern.test(text)) {
    const [chunk] = await once(socket, "data");
    text += chunk;
  }
  return text;
}

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

/** The body of a chunked response; undefined where it is incomplete. */
function chunkedBody(text: string): string | undefined {
  let rest = text.slice(text.indexOf("\r\n\r\n") + 4);
  let body = "";
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/i.exec(rest);
    if (size === null) return undefined;
    const length = Number.parseInt(size[1] ?? "", 16);
    rest = rest.slice(size[0].length);
    if (length === 0) return body;
    if (rest.length < length + 2) return undefined;
    body += rest.slice(0, length);
    rest = rest.slice(length + 2);
  }
}

/** Writes until the client is behind. @returns the bytes that were written */
function fill(writer: BodyWriter, part: Uint8Array, limit: number): number {
  let written = 0;
  while (written < limit) {
    written += part.length;
    if (!writer.write(part)) break;
  }
  return written;
}

const engines = [
  ["fastify", startFastifyEngine, false],
  ["uws", startUwsEngine, await uwsSkipped()],
] as const;

for (const [name, start, skip] of engines) {
  const run = async (act: (engine: Engine, arrivals: Arrivals) => Promise<void>): Promise<void> => {
    const arrivals = new Arrivals();
    const engine = await start({ ...options, handle: arrivals.handle });
    try {
      await act(engine, arrivals);
    } finally {
      const closed = engine.close();
      engine.destroy();
      await closed;
    }
  };

  const http10 = name === "uws" && "uWebSockets.js answers HTTP/1.0 with 505";

  describe(`streamed responses (${name})`, { skip, timeout: 60_000 }, () => {
    it("a response without a length is chunked, and its pieces arrive one by one", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `GET /a ${head}\r\n`);
        const { response } = await arrivals.next();
        const writer = response.open(200, [["content-type", "text/plain"]]);
        writer.write(Buffer.from("one"));
        const first = await until(socket, /one/);
        assert.match(first, /^HTTP\/1\.1 200 [\s\S]*transfer-encoding: chunked/i);
        writer.write(Buffer.from("two"));
        await until(socket, /two/);
        const end = until(socket, /0\r\n\r\n$/);
        writer.end();
        await end;
        socket.destroy();
      }));

    it("the connection serves further requests after a stream has ended", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `GET /a ${head}\r\n`);
        const first = await arrivals.next();
        const writer = first.response.open(200, []);
        writer.write(Buffer.from("one"));
        const ended = until(socket, /0\r\n\r\n/);
        writer.end();
        await ended;
        socket.write(`GET /b ${head}\r\n`);
        const second = await arrivals.next();
        assert.equal(second.request.path, "/b");
        second.response.send(200, [], "second");
        assert.match(await until(socket, /second/), /^HTTP\/1\.1 200 /);
        socket.destroy();
      }));

    it("text and bytes of any size, beyond ASCII too, arrive as they were written, in one body", () =>
      run(async (engine, arrivals) => {
        const text = untilClosed(open(engine, `GET /a ${last}`));
        const { response } = await arrivals.next();
        const writer = response.open(200, [["x-name", "caf\xe9"]]);
        const parts = ["plain", "größer", "漢字😀", Buffer.from("bytes\xff"), "x".repeat(5000)];
        parts.push(Buffer.alloc(4096, "y"), Buffer.alloc(20_000, "z"), "é".repeat(9000), "");
        for (const [index, part] of parts.entries()) {
          writer.write(part);
          if (index % 3 === 1) await turns(2);
        }
        writer.end();
        const received = await text;
        assert.match(received, /^x-name: caf\xe9\r\n/im);
        const sent = Buffer.concat(parts.map(part => Buffer.from(part)));
        assert.equal(chunkedBody(received), sent.toString("latin1"));
      }));

    it("a header value beyond ASCII stays as it is before text beyond Latin-1", () =>
      run(async (engine, arrivals) => {
        for (const body of ["plain", "größer 漢字"]) {
          const text = untilClosed(open(engine, `GET /a ${last}`));
          const { response } = await arrivals.next();
          response.send(200, [["x-name", "caf\xe9"]], body);
          const received = await text;
          assert.match(received, /^x-name: caf\xe9\r\n/im);
          assert.equal(received.split("\r\n\r\n")[1], Buffer.from(body).toString("latin1"));
        }
      }));

    it("a response with a length has exactly that many bytes and is not chunked", () =>
      run(async (engine, arrivals) => {
        const text = untilClosed(open(engine, `GET /a ${last}`));
        const { response } = await arrivals.next();
        const writer = response.open(200, [["content-length", "6"]]);
        writer.write(Buffer.from("one"));
        await turns(3);
        writer.write(Buffer.from("two"));
        writer.end();
        assert.match(
          await text,
          /^HTTP\/1\.1 200 (?![\s\S]*chunked)[\s\S]*content-length: 6\r\n[\s\S]*onetwo$/i,
        );
      }));

    it("a response that is shorter than its length ends its connection", () =>
      run(async (engine, arrivals) => {
        const text = untilClosed(open(engine, `GET /a ${head}\r\n`));
        const { response } = await arrivals.next();
        const writer = response.open(200, [["content-length", "6"]]);
        writer.write(Buffer.from("one"));
        await turns(3);
        writer.end();
        assert.doesNotMatch(await text, /onetwo/);
      }));

    for (const [framing, headers] of [
      ["chunks", []],
      ["a length", [["content-length", String(64 * mebibyte)]]],
    ] as const) {
      it(`a client that reads slowly holds back a writer of ${framing}, and gets all`, () =>
        run(async (engine, arrivals) => {
          const size = 64 * mebibyte;
          const part = Buffer.alloc(65_536, "x");
          const socket = open(engine, `GET /a ${last}`);
          socket.pause();
          const { response } = await arrivals.next();
          const writer = response.open(200, headers);
          let written = 0;
          let drains = 0;
          const more = (): void => {
            written += fill(writer, part, size - written);
            if (written >= size) writer.end();
          };
          writer.onDrain(() => {
            drains++;
            more();
          });
          await turns(2);
          more();
          await turns(200);
          // The buffers of the system take some.
          assert.ok(written < 48 * mebibyte, `${written} bytes were written`);
          let read = 0;
          socket.on("data", chunk => {
            read += chunk.length;
          });
          socket.resume();
          await once(socket, "close");
          assert.ok(read > size, `${read} bytes were read`);
          assert.ok(drains > 0);
        }));
    }

    it("a client that leaves amid a stream cancels the request, and later writes do nothing", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `GET /a ${head}\r\n`);
        const { request, response } = await arrivals.next();
        const cancelled = new Promise<void>(resolve => request.cancellation.listen(resolve));
        const writer = response.open(200, []);
        writer.write(Buffer.from("one"));
        await until(socket, /one/);
        socket.destroy();
        await cancelled;
        assert.equal(writer.write(Buffer.from("two")), true);
        writer.end();
        response.abandon();
      }));

    for (const [framing, headers] of [
      ["chunked", []],
      ["sized", [["content-length", "100"]]],
    ] as const) {
      it(`an abandoned ${framing} response is seen to be incomplete`, () =>
        run(async (engine, arrivals) => {
          const socket = open(engine, `GET /a ${head}\r\n`);
          const { response } = await arrivals.next();
          const writer = response.open(200, headers);
          writer.write(Buffer.from("one"));
          const first = await until(socket, /one/);
          const rest = untilClosed(socket);
          response.abandon();
          const text = first + (await rest);
          assert.equal(framing === "chunked" ? chunkedBody(text) : undefined, undefined);
          assert.doesNotMatch(text, /0\r\n\r\n$/);
        }));
    }

    for (const [what, method, status] of [
      ["HEAD", "HEAD", 200],
      ["204", "GET", 204],
      ["304", "GET", 304],
    ] as const) {
      it(`a stream for ${what} has a head and no content, whatever is written`, () =>
        run(async (engine, arrivals) => {
          const text = untilClosed(open(engine, `${method} /a ${last}`));
          const { response } = await arrivals.next();
          const writer = response.open(status, [["x-kept", "1"]]);
          assert.equal(writer.write(Buffer.from("dropped")), true);
          writer.end();
          assert.match(
            await text,
            new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*x-kept: 1\\r\\n[\\s\\S]*\\r\\n\\r\\n$`, "i"),
          );
          assert.doesNotMatch(await text, /dropped/);
        }));
    }

    it(
      "a stream for a client of HTTP/1.0 ends with its connection and is not chunked",
      { skip: http10 },
      () =>
        run(async (engine, arrivals) => {
          const text = untilClosed(open(engine, "GET /a HTTP/1.0\r\nhost: a\r\n\r\n"));
          const { response } = await arrivals.next();
          const writer = response.open(200, []);
          writer.write(Buffer.from("one"));
          await turns(2);
          writer.write(Buffer.from("two"));
          writer.end();
          assert.match(await text, /^HTTP\/1\.1 200 (?![\s\S]*chunked)[\s\S]*\r\n\r\nonetwo$/i);
        }),
    );

    it("an abandoned stream for a client of HTTP/1.0 is reset, not ended", { skip: http10 }, () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, "GET /a HTTP/1.0\r\nhost: a\r\n\r\n");
        const { response } = await arrivals.next();
        response.open(200, []).write(Buffer.from("one"));
        await until(socket, /one/);
        const failed = once(socket, "error");
        response.abandon();
        assert.equal(((await failed) as [NodeJS.ErrnoException])[0].code, "ECONNRESET");
      }),
    );

    it("a request behind an open stream gets its response after it, or the connection ends", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `GET /a ${head}\r\n`);
        const first = await arrivals.next();
        const writer = first.response.open(200, []);
        writer.write(Buffer.from("one"));
        const text = untilClosed(socket);
        await turns(5);
        socket.write(`GET /b ${last}`);
        if (name === "fastify") {
          const second = await arrivals.next();
          second.response.send(200, [], "second");
          await turns(5);
          writer.end();
          assert.match(await text, /one[\s\S]*\r\n0\r\n\r\nHTTP\/1\.1 200 [\s\S]*second$/);
        } else {
          // uWebSockets.js serves no pipelined requests.
          await text;
          assert.equal(first.request.cancellation.cancelled, true);
        }
      }));

    it("a streamed response to a chunked request is its connection's last response", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `POST /a ${head}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`);
        const { request, response } = await arrivals.next();
        assert.equal(String(await request.body(10)), "a");
        const text = name === "uws" ? untilClosed(socket) : until(socket, /0\r\n\r\n$/);
        const writer = response.open(200, []);
        writer.write(Buffer.from("one"));
        writer.end();
        assert.match(await text, /one/);
        socket.destroy();
      }));
  });

  describe(`streamed request bodies (${name})`, { skip, timeout: 60_000 }, () => {
    it("a slow consumer stops the client's sending, and gets all", () =>
      run(async (engine, arrivals) => {
        const size = 64 * mebibyte;
        const socket = open(engine, `PUT /a ${head}content-length: ${size}\r\n\r\n`);
        const part = Buffer.alloc(65_536, "x");
        let sent = 0;
        const send = (): void => {
          while (sent < size) {
            sent += part.length;
            if (!socket.write(part)) {
              socket.once("drain", send);
              return;
            }
          }
        };
        const { request, response } = await arrivals.next();
        const reader = request.stream(size);
        let received = 0;
        let slow = true;
        const ended = new Promise<void>((resolve, reject) => {
          reader.start({
            chunk: chunk => {
              received += chunk.length;
              if (slow) reader.pause();
            },
            end: resolve,
            fail: reject,
          });
        });
        send();
        await turns(200);
        assert.ok(received < 4 * mebibyte, `${received} bytes were received`);
        assert.ok(sent < size, `${sent} bytes were sent`);
        slow = false;
        reader.resume();
        await ended;
        assert.equal(received, size);
        response.send(200, [], "done");
        await until(socket, /done/);
        socket.destroy();
      }));

    for (const [framing, headers, body] of [
      ["announced", "content-length: 20", ""],
      ["chunked", "transfer-encoding: chunked", "14\r\n01234567890123456789\r\n0\r\n\r\n"],
    ] as const) {
      it(`a body that is ${framing} larger than the limit fails the stream`, () =>
        run(async (engine, arrivals) => {
          const socket = open(engine, `POST /a ${head}${headers}\r\n\r\n${body}`);
          const { request, response } = await arrivals.next();
          await assert.rejects(
            new Promise<void>((resolve, reject) => {
              request.stream(10).start({ chunk: () => undefined, end: resolve, fail: reject });
            }),
            BodyTooLargeError,
          );
          const text = untilClosed(socket);
          response.send(413, [], "too large");
          assert.match(await text, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
        }));
    }

    it("a client that leaves amid its body fails the stream", () =>
      run(async (engine, arrivals) => {
        const socket = open(engine, `POST /a ${head}content-length: 20\r\n\r\n0123`);
        const { request } = await arrivals.next();
        await assert.rejects(
          new Promise<void>((resolve, reject) => {
            request.stream(100).start({ chunk: () => socket.destroy(), end: resolve, fail: reject });
          }),
        );
      }));

    it("a request without a body has an empty stream", () =>
      run(async (engine, arrivals) => {
        const text = untilClosed(open(engine, `GET /a ${last}`));
        const { request, response } = await arrivals.next();
        assert.equal(request.hasBody, false);
        let ended = false;
        request.stream(10).start({
          chunk: () => undefined,
          end: () => {
            ended = true;
          },
          fail: error => assert.fail(error),
        });
        assert.equal(ended, true);
        response.send(200, [], "ok");
        assert.match(await text, /ok$/);
      }));
  });
}
