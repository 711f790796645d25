import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { WebSocket } from "ws";
import { echoProto } from "./echo.js";
import { startTestGateway } from "./harness.js";

test("a request for a WebSocket at a method that does not stream, or at no route, gets a response that says what is wrong", async () => {
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
`,
    { "protos/echo.proto": echoProto },
  );
  try {
    const refusal = async (path: string): Promise<readonly [status: number | undefined, body: unknown]> => {
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.httpPort}${path}`);
      const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
      let text = "";
      for await (const chunk of response) text += chunk;
      return [response.statusCode, JSON.parse(text)];
    };
    assert.deepEqual(await refusal("/v1/items/1"), [
      400,
      {
        code: 3,
        reason: "WEBSOCKET_NOT_SUPPORTED",
        message: "test.v1.Echo.Get does not stream; send an ordinary GET request",
        details: [],
      },
    ]);
    const [status, body] = await refusal("/v1/nowhere");
    assert.equal(status, 404);
    assert.equal((body as { reason: string }).reason, "ROUTE_NOT_FOUND");
  } finally {
    await gateway.close();
  }
});
