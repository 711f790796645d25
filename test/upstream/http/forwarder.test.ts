import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { GatewayError } from "../../../src/status/failure.js";
import type { BackendResponse } from "../../../src/upstream/http/client.js";
import { createForwarders, type Forwarders } from "../../../src/upstream/http/forwarder.js";

const body = Buffer.alloc(65_536, "x");
const closing = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
const chunk = Buffer.concat([Buffer.from("10000\r\n"), body, Buffer.from("\r\n0\r\n\r\n")]);
const responses: Readonly<Record<string, readonly [head: string, body: Buffer]>> = {
  "/length": [`${closing}content-length: ${body.length}\r\n\r\n`, body],
  "/chunks": [`${closing}transfer-encoding: chunked\r\n\r\n`, chunk],
  "/close": [`${closing}\r\n`, body],
};

describe("the forwarder", { timeout: 60_000 }, () => {
  const open = new Set<Socket>();
  let closed = 0;
  const backend = createServer(socket => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      open.delete(socket);
      closed++;
    });
    socket.once("data", data => {
      const path = /^\S+ (\S+)/.exec(String(data))?.[1] ?? "";
      const [head, content] = responses[path.replace("/reset", "")] ?? [];
      if (head === undefined || content === undefined) return;
      socket.write(head);
      socket.write(content);
      if (path.endsWith("/reset")) setTimeout(() => socket.resetAndDestroy(), 20);
      else socket.end();
    });
  });
  let forwarders: Forwarders;

  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const origin = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    forwarders = await createForwarders([
      { prefix: "/a", rewrite: "/", next: () => origin, timeoutMs: 30_000, tls: undefined },
      {
        prefix: "/few",
        rewrite: "/",
        next: () => origin,
        timeoutMs: 30_000,
        tls: undefined,
        maxConnections: 1,
        maxWaiting: 1,
      },
    ]);
  });
  after(async () => {
    await forwarders.close();
    for (const socket of open) socket.destroy();
    backend.close();
  });

  function send(
    prefix: string,
    target: string,
    signal = new AbortController().signal,
  ): Promise<BackendResponse> {
    return forwarders
      .of(prefix)
      .send({ method: "GET", target, headers: {}, body: undefined, signal, sentTo: () => undefined });
  }

  for (const path of Object.keys(responses)) {
    test(`a body that is read after its backend has closed comes whole (${path})`, async () => {
      const before = closed;
      const response = await send("/a", path);
      while (closed === before) await turn();
      for (let turns = 0; turns < 20; turns++) await turn();
      let size = 0;
      for await (const part of response.body ?? []) size += (part as Buffer).length;
      assert.equal(size, body.length);
    });

    test(`a backend that resets its connection before its body is read costs this response alone (${path})`, async () => {
      const before = closed;
      const response = await send("/a", `${path}/reset`);
      response.body?.on("error", () => undefined);
      while (closed === before) await turn();
      for (let turns = 0; turns < 20; turns++) await turn();
      response.body?.resume();
      assert.equal((await send("/a", "/length")).status, 200);
    });
  }

  test("a request beyond the connections of a target and those that may wait for one is 503", async () => {
    const abort = new AbortController();
    const hanging = [1, 2].map(() => send("/few", "/hang", abort.signal).catch((error: unknown) => error));
    await assert.rejects(send("/few", "/length"), (error: unknown) => {
      assert.ok(error instanceof GatewayError);
      assert.deepEqual([error.failure.httpStatus, error.failure.reason], [503, "UPSTREAM_UNAVAILABLE"]);
      return true;
    });
    abort.abort();
    await Promise.all(hanging);
    const { status, body: content } = await send("/few", "/length");
    content?.resume();
    assert.equal(status, 200);
  });
});
