import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { exchange, type Reply } from "./exchange.js";

const limit = 65_536;
const item = { id: "7", longName: "expand me ".repeat(100) };
const json = Buffer.from(JSON.stringify(item));

const compress = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes),
  "x-gzip": (bytes: Uint8Array) => gzipSync(bytes),
  deflate: (bytes: Uint8Array) => deflateSync(bytes),
  br: (bytes: Uint8Array) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};
type Name = keyof typeof compress;
const names = Object.keys(compress) as Name[];

function reasonOf(reply: Reply): string {
  return (JSON.parse(reply.body.toString()) as { reason: string }).reason;
}

function messageOf(reply: Reply): string {
  return (JSON.parse(reply.body.toString()) as { message: string }).message;
}

describe("http.compression of request bodies", () => {
  let legacy: Server;
  let system: EchoSystem;
  let off: EchoSystem;
  let seen: { encoding: string | undefined; body: Buffer } | undefined;

  before(async () => {
    legacy = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        seen = { encoding: request.headers["content-encoding"], body: Buffer.concat(chunks) };
        response.end();
      });
    });
    legacy.listen(0, "127.0.0.1");
    await once(legacy, "listening");
    const { port } = legacy.address() as AddressInfo;
    const start = (compression: string) =>
      startEcho(
        "",
        `http: { limits: { body: 64KiB, request_timeout: 1s }, ${compression} proxy: [{ prefix: /legacy, upstream: legacy }] }`,
        {},
        `legacy: { protocol: http, targets: ["http://127.0.0.1:${port}"] }`,
      );
    system = await start("compression: {},");
    off = await start("");
  });
  after(async () => {
    await system.close();
    await off.close();
    legacy.close();
  });

  const post = (encoding: string, body: Uint8Array, more: Record<string, string> = {}, at = system) =>
    exchange(`${at.gateway.url}/v1/items`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": encoding, ...more },
      body,
    });

  for (const name of names) {
    test(`a body with content-encoding ${name} is expanded`, async () => {
      const reply = await post(name, compress[name](json));
      assert.equal(reply.status, 200);
      assert.deepEqual(JSON.parse(reply.body.toString()), item);
    });

    test(`a ${name} body in chunks is expanded`, async () => {
      const reply = await post(name, compress[name](json), { "transfer-encoding": "chunked" });
      assert.deepEqual(JSON.parse(reply.body.toString()), item);
    });

    test(`a ${name} body that expands to just the limit is taken, and one byte more is 413`, async () => {
      const sized = (bytes: number) => {
        const empty = JSON.stringify({ longName: "" }).length;
        return compress[name](Buffer.from(JSON.stringify({ longName: "x".repeat(bytes - empty) })));
      };
      assert.equal((await post(name, sized(limit))).status, 200);
      const reply = await post(name, sized(limit + 1));
      assert.equal(reply.status, 413);
      assert.equal(reasonOf(reply), "BODY_TOO_LARGE");
      assert.match(messageOf(reply), /65536 bytes/);
    });

    test(`a ${name} body that ends too early is 400`, async () => {
      const whole = compress[name](json);
      for (const size of [1, whole.length >> 1, whole.length - 1]) {
        const reply = await post(name, whole.subarray(0, size));
        assert.equal(reply.status, 400, `${size} bytes`);
        assert.equal(reasonOf(reply), "MALFORMED_REQUEST");
        assert.match(messageOf(reply), /^the body is not valid (gzip|deflate|br): /);
      }
    });

    test(`a ${name} body with bytes behind its end is 400`, async () => {
      for (const more of ["x", "\0\0", JSON.stringify(item)]) {
        const reply = await post(name, Buffer.concat([compress[name](json), Buffer.from(more)]));
        assert.equal(reply.status, 400);
        assert.equal(reasonOf(reply), "MALFORMED_REQUEST");
      }
    });

    test(`a body that is no ${name} is 400`, async () => {
      const reply = await post(name, json);
      assert.equal(reply.status, 400);
      assert.equal(reasonOf(reply), "MALFORMED_REQUEST");
    });

    test(`a ${name} bomb is 413, and the gateway goes on`, async () => {
      // 32 MiB of zeros in less than the limit.
      const bomb = compress[name](Buffer.alloc(32 << 20));
      assert.ok(bomb.length < limit);
      const before = process.memoryUsage().arrayBuffers;
      const replies = await Promise.all(Array.from({ length: 8 }, () => post(name, bomb)));
      for (const reply of replies) assert.equal(reply.status, 413);
      assert.ok(process.memoryUsage().arrayBuffers - before < 32 << 20);
      assert.equal((await post(name, compress[name](json))).status, 200);
    });
  }

  test("several members of gzip in one body are one body", async () => {
    const half = json.length >> 1;
    const body = Buffer.concat([gzipSync(json.subarray(0, half)), gzipSync(json.subarray(half))]);
    assert.deepEqual(JSON.parse((await post("gzip", body)).body.toString()), item);
  });

  test("deflate without its head, as some clients send it, is 400", async () => {
    assert.equal((await post("deflate", deflateRawSync(json))).status, 400);
  });

  for (const encoding of ["zstd", "compress", "gzip, br", "gzip, gzip", "*", "gzip;q=1"]) {
    test(`content-encoding ${encoding} is 415 and names what is taken`, async () => {
      const reply = await post(encoding, gzipSync(json));
      assert.equal(reply.status, 415);
      assert.equal(reasonOf(reply), "UNSUPPORTED_MEDIA_TYPE");
      assert.equal(reply.headers["accept-encoding"], "gzip, deflate, br");
      assert.match(messageOf(reply), /expected content-encoding gzip or deflate or br, found "/);
    });
  }

  test("content-encoding identity is none", async () => {
    assert.equal((await post("Identity", json)).status, 200);
    assert.equal((await post("identity", json, {}, off)).status, 200);
  });

  test("a compressed body of another content type is 415 as before", async () => {
    const reply = await post("gzip", gzipSync(json), { "content-type": "text/plain" });
    assert.equal(reply.status, 415);
    assert.match(messageOf(reply), /application\/json/);
  });

  test("a compressed HttpBody reaches the backend expanded", async () => {
    const reply = await exchange(`${system.gateway.url}/v1/raw`, {
      method: "POST",
      headers: { "content-type": "text/csv", "content-encoding": "gzip" },
      body: gzipSync("a,b\n1,2\n"),
    });
    assert.equal(reply.body.toString(), "a,b\n1,2\n");
  });

  test("without http.compression every coding is 415, and identity is what is taken", async () => {
    const reply = await post("gzip", gzipSync(json), {}, off);
    assert.equal(reply.status, 415);
    assert.equal(reply.headers["accept-encoding"], "identity");
  });

  test("pass-through forwards a compressed body as it is", async () => {
    const body = gzipSync(json);
    await exchange(`${system.gateway.url}/legacy/x`, {
      method: "POST",
      headers: { "content-encoding": "gzip" },
      body,
    });
    assert.equal(seen?.encoding, "gzip");
    assert.deepEqual(seen?.body, body);
  });

  test("a client that stops in the middle of a compressed body gets 408", async () => {
    const socket = connect(system.gateway.httpPort, "127.0.0.1");
    const body = gzipSync(json);
    socket.write(
      `POST /v1/items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.subarray(0, 20));
    let text = "";
    socket.setEncoding("latin1").on("data", chunk => {
      text += chunk;
    });
    await once(socket, "close");
    assert.match(text, /^HTTP\/1.1 408 /);
  });
});
