import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { text } from "node:stream/consumers";
import { it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { EngineOptions } from "../../src/server/engine.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { BodyWriter } from "../../src/server/response-writer.js";
import { onLoopback } from "./loopback.js";

/** Counts what connections of servers give to the system: the length of each piece. */
function countWrites(test: TestContext): number[] {
  const writes: number[] = [];
  const { prototype } = Socket;
  const write = prototype._write;
  const writev = prototype._writev as NonNullable<Socket["_writev"]>;
  const count = (socket: object, length: number): void => {
    if ("server" in socket && socket.server != null && length > 0) writes.push(length);
  };
  prototype._write = function (this: Socket, chunk, encoding, done): void {
    count(this, chunk.length);
    write.call(this, chunk, encoding, done);
  };
  prototype._writev = function (this: Socket, chunks, done): void {
    count(
      this,
      chunks.reduce((sum, { chunk }) => sum + chunk.length, 0),
    );
    writev.call(this, chunks, done);
  };
  test.after(() => Object.assign(prototype, { _write: write, _writev: writev }));
  return writes;
}

const options: Omit<EngineOptions, "handle"> = {
  ...onLoopback,
};

it("writes to a stream in one turn go to the system in one call, small pieces joined (fastify)", async test => {
  const writes = countWrites(test);
  let writer: BodyWriter | undefined;
  const engine = await startFastifyEngine({
    ...options,
    handle: (_request, response) => {
      writer = response.open(200, [["content-type", "text/event-stream"]]);
      writer.write(":\n\n");
    },
  });
  const socket = connect({ port: engine.port, host: "127.0.0.1" });
  try {
    socket.setEncoding("latin1").write("GET /a HTTP/1.1\r\nhost: a\r\n\r\n");
    let received = "";
    socket.on("data", chunk => {
      received += String(chunk);
    });
    const until = async (text: string): Promise<void> => {
      while (!received.endsWith(text)) await once(socket, "data");
    };
    await until(":\n\n\r\n");
    assert.equal(writes.length, 1, "the head and the first event are one write");

    for (let index = 0; index < 5; index++) {
      writer?.write(`data:{"index":${index}}\n\n`);
      await turn();
    }
    await until('data:{"index":4}\n\n\r\n');
    // Eighteen bytes of text, with `12\r\n` before and a line end behind.
    assert.deepEqual(writes.slice(1), [24, 24, 24, 24, 24]);

    writer?.write("data:a\n\n");
    writer?.write("data:b\n\n");
    writer?.end();
    await until("0\r\n\r\n");
    assert.equal(writes.length, 7, "two events and the end are one write");
    assert.match(received, /\r\n8\r\ndata:a\n\n\r\n8\r\ndata:b\n\n\r\n0\r\n\r\n$/);
  } finally {
    socket.destroy();
    engine.destroy();
    await engine.close();
  }
});

it("the same text goes to streams with chunks, with a length, and with neither, framed as each needs it (fastify)", async () => {
  const texts = ["data:a\n\n", "data:é€😀\n\n", "data:a\n\n"];
  const length = String(Buffer.byteLength(texts.join("")));
  const writers: BodyWriter[] = [];
  const engine = await startFastifyEngine({
    ...options,
    handle: (request, response) => {
      const headers = request.path === "/length" ? ([["content-length", length]] as const) : [];
      const writer = response.open(200, headers);
      if (writers.push(writer) < 4) return;
      for (const text of texts) for (const each of writers) each.write(text);
      for (const each of writers) each.end();
    },
  });
  const whole = async (head: string): Promise<string> => {
    const socket = connect({ port: engine.port, host: "127.0.0.1" });
    socket.write(`GET ${head}\r\nhost: a\r\nconnection: close\r\n\r\n`);
    return (await text(socket)).split("\r\n\r\n").slice(1).join("\r\n\r\n");
  };
  try {
    const bodies = await Promise.all(
      ["/a HTTP/1.1", "/length HTTP/1.1", "/a HTTP/1.0", "/a HTTP/1.1"].map(whole),
    );
    const chunked = texts.map(each => `${Buffer.byteLength(each).toString(16)}\r\n${each}\r\n`).join("");
    const plain = texts.join("");
    assert.deepEqual(bodies, [`${chunked}0\r\n\r\n`, plain, plain, `${chunked}0\r\n\r\n`]);
  } finally {
    engine.destroy();
    await engine.close();
  }
});

it("text, bytes and long text of one turn arrive in the order in which they were written (fastify)", async () => {
  const long = "x".repeat(40_000);
  const parts = ["a", Buffer.from("b"), "c", long, "d", Buffer.from(long), "é", "e"];
  const engine = await startFastifyEngine({
    ...options,
    handle: (_request, response) => {
      const writer = response.open(200, [["content-type", "text/plain"]]);
      writer.write("head ");
      setImmediate(() => {
        for (const part of parts) writer.write(part);
        writer.end();
      });
    },
  });
  try {
    const response = await fetch(`http://127.0.0.1:${engine.port}/a`);
    assert.equal(await response.text(), `head abc${long}d${long}ée`);
  } finally {
    engine.destroy();
    await engine.close();
  }
});
