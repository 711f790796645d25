import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { root, scriptFile, scriptOptions } from "../node-script.js";

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
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  writeFileSync(join(folder, "gateway.yaml"), config);
  const probe = pathToFileURL(scriptFile("test/upstream/loaded-scripts.ts")).href;
  const child = fork(scriptFile("src/main.ts"), ["serve", "--config", join(folder, "gateway.yaml")], {
    cwd: root,
    execArgv: [...scriptOptions, "--import", probe],
    silent: true,
  });
  const exited = once(child, "exit");
  let errors = "";
  child.stderr?.on("data", chunk => {
    errors += chunk;
  });
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      if (!line.includes(`"msg":"ready"`)) continue;
      const reported = once(child, "message");
      child.send("scripts");
      const [urls] = (await reported) as [string[]];
      return urls.filter(url => url.includes("/livekit-server-sdk/") || url.includes("/@bufbuild/"));
    }
    throw new Error(`the gateway did not start: ${errors}`);
  } finally {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  }
}

test("a gateway without LiveKit loads neither livekit-server-sdk nor @bufbuild/protobuf", async () => {
  assert.deepEqual(await scriptsForLiveKit(configuration), []);
});

test("a gateway with LiveKit loads livekit-server-sdk", async () => {
  const urls = await scriptsForLiveKit(configuration + livekit);
  assert.ok(urls.some(url => url.includes("/livekit-server-sdk/")));
});
