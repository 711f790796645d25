import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { root } from "../node-script.js";

describe("the published package", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      stdio: ["ignore", "pipe", "ignore"],
    }).toString(),
  ) as { files: { path: string }[] }[];
  const files = packed?.files.map(({ path }) => path) ?? [];

  it("contains licence, notice, changelog, bundled protos, demo and schema", () => {
    const wanted = [
      ...["LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "package.json"],
      ...["protos/google/api/annotations.proto", "protos/demo/chat/v1/rooms.proto"],
      ...["config/gateway.yaml", "config/protogate.schema.json"],
    ];
    assert.deepEqual(
      wanted.filter(path => !files.includes(path)),
      [],
    );
  });

  it("contains no sources, tests, documents or source maps", () => {
    const top = new Set(files.map(path => path.split("/")[0]));
    const known = [
      "CHANGELOG.md",
      "LICENSE",
      "NOTICE",
      "README.md",
      "config",
      "dist",
      "package.json",
      "protos",
    ];
    assert.deepEqual(
      [...top].filter(name => !known.includes(name ?? "")),
      [],
    );
    assert.deepEqual(
      files.filter(path => path.endsWith(".map")),
      [],
    );
  });

  it("the published package has the version that the changelog released last", () => {
    const released = /^## (\d+\.\d+\.\d+)/m.exec(readFileSync(join(root, "CHANGELOG.md"), "utf8"))?.[1];
    assert.equal(manifest.version, released);
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
    assert.equal(lock.version, manifest.version);
  });
});
