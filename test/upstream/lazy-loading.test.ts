import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { TransportKind } from "../../src/upstream/options.js";
import { root, scriptFile, scriptOptions } from "../node-script.js";

const proto = `
syntax = "proto3";
package test.v1;
service Echo {
  rpc Get(Item) returns (Item);
}
message Item {
  string id = 1;
}
`;

function configuration(transport: TransportKind | undefined): string {
  return `
listeners:
  http: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
upstreams:
  echo:
    targets: ["127.0.0.1:1"]${transport === undefined ? "" : `\n    transport: ${transport}`}
descriptors:
  - protos: echo.proto
services:
  - service: test.v1.Echo
    upstream: echo
http:
  rules: [{ selector: test.v1.Echo.Get, get: "/v1/items/{id}" }]
`;
}

/** Starts `protogate serve` in a process of its own; returns the URLs of the scripts that it has loaded once it serves. */
async function scriptsOfGateway(transport?: TransportKind): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  writeFileSync(join(folder, "gateway.yaml"), configuration(transport));
  writeFileSync(join(folder, "echo.proto"), proto);
  const probe = pathToFileURL(scriptFile("test/upstream/loaded-scripts.ts")).href;
  const child = fork(scriptFile("src/main.ts"), ["serve", "--config", join(folder, "gateway.yaml")], {
    cwd: root,
    execArgv: [...scriptOptions, "--import", probe],
    silent: true,
  });
  const exited = once(child, "exit");
  try {
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      lines.push(line);
      if (!line.includes(`"msg":"ready"`)) continue;
      const reported = once(child, "message");
      child.send("scripts");
      const [urls] = (await reported) as [string[]];
      return urls;
    }
    throw new Error(`the gateway did not start: ${lines.join("\n")}`);
  } finally {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  }
}

test("a gateway loads no file of the libraries that its configuration does not use", async t => {
  const urls = await scriptsOfGateway();
  assert.ok(urls.some(url => url.includes("/src/upstream/create-channel")));
  assert.ok(urls.some(url => url.includes("/src/pipeline/forward")));
  for (const [library, use] of [
    ["@grpc/", "the default transport"],
    ["(undici|@fastify/http-proxy)/", "the client of passing through"],
    [
      "(ajv|@fastify/ajv-compiler|@fastify/fast-json-stringify-compiler)/",
      "compilers of the schemas of routes",
    ],
    ["(openid-client|oauth4webapi)/", "logins of browsers"],
    ["typebox/", "the types of the configuration"],
  ])
    await t.test(`a small gateway does without ${library} (${use})`, () => {
      assert.deepEqual(
        urls.filter(url => new RegExp(`/node_modules/${library}`).test(url)),
        [],
      );
    });
});

test("a gateway with an upstream on grpc-js loads @grpc/grpc-js", async () => {
  const urls = await scriptsOfGateway("grpc-js");
  assert.ok(urls.some(url => url.includes("/@grpc/grpc-js/")));
});
