import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "../server/loopback.js";

for (const [name, start] of [
  ["fastify", startFastifyEngine],
  ["uws", startUwsEngine],
] as const) {
  test(`${name} keeps every line of a header that comes twice, so that two tokens are not taken for one`, {
    skip: name === "uws" && (await uwsSkipped()),
  }, async () => {
    const engine = await start({
      ...onLoopback,
      headerLimit: 16_384,
      requestTimeout: 5000,
      handle: (request, response) => {
        const seen = ["authorization", "token", "cookie"].map(header => request.header(header));
        response.send(200, [["connection", "close"]], JSON.stringify(seen));
      },
    });
    const socket = connect(engine.port, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8").on("data", chunk => {
      text += chunk;
    });
    socket.write(
      "GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a\r\nAuthorization: Bearer b\r\n" +
        "token: a\r\ntoken: b\r\ncookie: a=1\r\ncookie: b=2\r\nconnection: close\r\n\r\n",
    );
    await once(socket, "close");
    const [, body = ""] = text.split("\r\n\r\n");
    assert.deepEqual(JSON.parse(body), ["Bearer a, Bearer b", "a, b", "a=1; b=2"]);
    const closed = engine.close();
    engine.destroy();
    await closed;
  });
}
