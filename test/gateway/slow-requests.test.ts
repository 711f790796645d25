import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { startEcho } from "./echo.js";
import { send } from "./harness.js";

type System = Awaited<ReturnType<typeof startEcho>>;

const head = "POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
const body = `{"text": "${"x".repeat(1000)}"}`;

interface Drip {
  readonly socket: Socket;
  /** Resolves with all that came back when the gateway has ended the connection. */
  readonly ended: Promise<string>;
}

/** Writes `whole` at once and then, as long as the connection lives, one byte of `slow` every 50 ms. */
function drip(port: number, whole: string, slow: string): Drip {
  const socket = connect(port, "127.0.0.1");
  socket.setEncoding("latin1");
  let reply = "";
  socket.on("data", text => {
    reply += text;
  });
  let sent = 0;
  const timer = setInterval(() => {
    if (socket.writable && sent < slow.length) socket.write(slow[sent++] as string);
  }, 50);
  socket.write(whole);
  const ended = new Promise<string>(resolve => {
    // What is written to a connection that has ended resets it.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      resolve(reply);
    });
  });
  return { socket, ended };
}

describe(`slow requests (${engineUnderTest()})`, { concurrency: true }, () => {
  let system: System;
  let port: number;

  before(async () => {
    system = await startEcho("", "http: { limits: { request_timeout: 1s } }");
    port = system.gateway.httpPort;
  });
  after(() => system.close());

  it("a body that comes byte by byte is 408, and its connection ends", async () => {
    const length = `content-length: ${body.length}\r\n\r\n`;
    const { ended } = drip(port, `${head}${length}`, body);
    assert.match(await ended, /^HTTP\/1\.1 408 [\s\S]*"reason":"REQUEST_TIMEOUT"/);
  });

  it("a chunked body that comes byte by byte is 408, and its connection ends", async () => {
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const { ended } = drip(port, `${head}transfer-encoding: chunked\r\n\r\n`, chunks);
    assert.match(await ended, /^HTTP\/1\.1 408 [\s\S]*"reason":"REQUEST_TIMEOUT"/);
  });

  it("a request whose head never ends loses its connection, and meanwhile others are served", async () => {
    const drips = Array.from({ length: 200 }, () =>
      drip(port, "GET /v1/items/a HTTP/1.1\r\n", "x-a: b\r\n".repeat(1000)),
    );
    await Promise.all(drips.map(({ socket }) => new Promise(resolve => socket.once("connect", resolve))));
    const reply = await send(`${system.gateway.url}/v1/items/a`);
    assert.equal(reply.status, 200);
    for (const reply of await Promise.all(drips.map(each => each.ended))) {
      assert.match(
        reply,
        engineUnderTest() === "uws" ? /^$/ : /^HTTP\/1\.1 408 [\s\S]*"reason":"REQUEST_TIMEOUT"/,
      );
    }
  });

  it("a connection without a request is closed without a response", async () => {
    const { ended } = drip(port, "", "");
    assert.equal(await ended, "");
  });

  it("an idle connection is closed after its last response", async () => {
    const { ended } = drip(port, "GET /v1/items/a HTTP/1.1\r\nhost: a\r\n\r\n", "GET");
    assert.match(await ended, /^HTTP\/1\.1 200 /);
  });
});
