import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { compileRoutes } from "../../src/bindings/route-table.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { loadConfig } from "../../src/gateway/config.js";
import { createPace } from "../../src/net/pace.js";

const source = resolve(import.meta.dirname, "../../node_modules/google-proto-files");

test("every annotated method of googleapis gets its routes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  try {
    // google/protobuf is bundled; the package's copy imports files that it leaves out.
    mkdirSync(join(folder, "protos/google"), { recursive: true });
    for (const name of readdirSync(join(source, "google"))) {
      if (name !== "protobuf") symlinkSync(join(source, "google", name), join(folder, "protos/google", name));
    }
    symlinkSync(join(source, "grafeas"), join(folder, "protos/grafeas"));
    symlinkSync(join(source, "gapic"), join(folder, "protos/gapic"));
    const { model } = await loadModel([{ kind: "protos", folder: join(folder, "protos"), include: [] }]);

    const services = [...model.services.keys()];
    const file = join(folder, "gateway.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 } }
upstreams: { google: { targets: ["127.0.0.1:1"] } }
services:
${services.map(name => `  - { service: ${name}, upstream: google, prefix: /${name} }`).join("\n")}
`,
    );
    const { config, locate } = loadConfig(file, {});
    assert.ok(config !== undefined);
    const { routes, diagnostics } = await compileRoutes(config, model, locate, createPace());

    // A few services bind two methods to one path on purpose: gRPC tells them apart, REST cannot.
    const conflicts = diagnostics.filter(({ severity }) => severity === "error");
    assert.ok(conflicts.every(({ message }) => message.includes("is bound twice")));
    const conflicting = new Set(conflicts.map(({ path }) => path));
    assert.ok(
      diagnostics.every(
        ({ severity, message }) =>
          severity === "error" ||
          message.includes("gets no routes") ||
          message.startsWith("no request reaches"),
      ),
    );

    const bound = new Set(routes.map(route => route.rpc));
    const annotated = [...model.services.values()]
      .flatMap(service => service.methods)
      .filter(method => method.options.get("google.api.http") !== undefined);
    const missing = annotated.filter(method => !bound.has(method) && !conflicting.has(method.fullName));
    assert.deepEqual(
      missing.map(method => method.fullName),
      [],
    );
    assert.ok(routes.length > 13_000, String(routes.length));
    assert.ok(conflicts.length < 20, String(conflicts.length));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
