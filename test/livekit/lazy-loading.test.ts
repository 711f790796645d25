import assert from "node:assert/strict";
import { test } from "node:test";
import { scriptsOfGateway } from "../gateway-scripts.js";

const configuration = `
listeners:
  http: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
  realtime: { address: "127.0.0.1:0" }
realtime: {}
`;

const livekit = `
livekit:
  url: http://127.0.0.1:1
  api_key: key
  api_secret: a-secret-of-at-least-thirty-two-characters
`;

/** The scripts of the packages for LiveKit that a gateway in a process of its own has loaded once it serves. */
async function scriptsForLiveKit(config: string): Promise<readonly string[]> {
  const urls = await scriptsOfGateway(config);
  return urls.filter(url => url.includes("/livekit-server-sdk/") || url.includes("/@bufbuild/"));
}

test("a gateway without LiveKit loads neither livekit-server-sdk nor @bufbuild/protobuf", async () => {
  assert.deepEqual(await scriptsForLiveKit(configuration), []);
});

test("a gateway with LiveKit loads livekit-server-sdk", async () => {
  const urls = await scriptsForLiveKit(configuration + livekit);
  assert.ok(urls.some(url => url.includes("/livekit-server-sdk/")));
});
