import assert from "node:assert/strict";
import { test } from "node:test";
import { echoProto } from "../gateway/echo.js";
import { echo, send, startBackend, startTestGateway } from "../gateway/harness.js";

test("each listener that http.docs names serves the document of what it serves itself", async () => {
  const backend = await startBackend({ "/test.v1.Echo/Get": echo });
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
http: { docs: { listeners: [http, realtime] } }
realtime: { auth: none, origins: ["*"], rest: /chat }
`,
    { "protos/echo.proto": echoProto },
  );
  try {
    const document = async (port: number) =>
      (await send(`http://127.0.0.1:${port}/openapi.json`, {})).json as {
        readonly paths: Readonly<Record<string, object>>;
        readonly "x-protogate-unlisted": readonly { readonly template: string }[];
      };
    const [http, realtime] = [await document(gateway.httpPort), await document(gateway.realtimePort)];
    const rooms = ["/chat/receive", "/chat/rooms", "/chat/send"];
    assert.deepEqual(Object.keys(realtime.paths), rooms);
    assert.ok("/v1/items" in http.paths);
    const unlisted = realtime["x-protogate-unlisted"].map(({ template }) => template);
    assert.ok(unlisted.includes("/ws"), String(unlisted));
    const { status } = await send(`http://127.0.0.1:${gateway.realtimePort}/v1/items`, {});
    assert.equal(status, 404);
  } finally {
    await gateway.close();
    await backend.close();
  }
});

test("a reload changes the document, and its ETag; http.docs.auth guards it", async () => {
  const backend = await startBackend({ "/test.v1.Echo/Get": echo });
  const yaml = (prefix: string, docs: string): string => `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo, prefix: "${prefix}" }]
auth: { providers: { keys: { type: api_key, header: x-api-key, keys: ./keys.yaml } } }
http: { docs: { openapi: /openapi.json${docs} } }
`;
  const gateway = await startTestGateway(yaml("/v1", ""), {
    "protos/echo.proto": echoProto,
    "keys.yaml": `- { subject: ada, hash: "sha256:${"0".repeat(64)}" }\n`,
  });
  const get = (headers: Record<string, string> = {}) => send(`${gateway.url}/openapi.json`, { headers });
  try {
    const first = await get();
    assert.equal(first.status, 200);
    assert.ok(Object.keys(first.json.paths).every(path => path.startsWith("/v1/")));
    const etag = first.headers.get("etag") ?? "";
    assert.equal((await get({ "if-none-match": etag })).status, 304);
    gateway.write("gateway.yaml", yaml("/v2", ""));
    await gateway.reload();
    const second = await get({ "if-none-match": etag });
    assert.equal(second.status, 200);
    assert.ok(Object.keys(second.json.paths).every(path => path.startsWith("/v2/")));
    gateway.write("gateway.yaml", yaml("/v2", ", auth: [keys]"));
    await gateway.reload();
    assert.equal((await get()).status, 401);
  } finally {
    await gateway.close();
    await backend.close();
  }
});
