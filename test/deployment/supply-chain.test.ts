import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { it } from "node:test";
import { root } from "../node-script.js";

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly license?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
}

interface Component {
  readonly name: string;
  readonly version: string;
  readonly properties?: readonly { readonly name: string }[];
}

/** Licences of which the products of others may be part, whatever their own is. */
const allowed = new Set([
  "Apache-2.0",
  "MIT",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "0BSD",
  "BlueOak-1.0.0",
  "Unlicense",
  "(Apache-2.0 AND BSD-3-Clause)",
]);

const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
const all = Object.entries(lock.packages).filter(([path]) => path !== "");
const production = all.filter(([, { dev }]) => dev !== true);

it("every package that production installs has a licence of the allowed list", () => {
  const others = production.filter(([, { license }]) => !allowed.has(license ?? ""));
  assert.deepEqual(
    others.map(([path, { license }]) => `${path}: ${license}`),
    [],
  );
});

it("every package is locked to its content, and none comes from a repository or a folder", () => {
  for (const [path, { integrity, resolved = "https:" }] of all) {
    assert.match(integrity ?? "", /^sha(512|384|256)-/, path);
    assert.match(resolved, /^https:/, path);
  }
});

it("no package that production installs needs an install script", () => {
  // Its script prints a line about versions; the image leaves it out.
  const scripted = production.filter(
    ([path, { hasInstallScript }]) => hasInstallScript && !path.endsWith("node_modules/protobufjs"),
  );
  assert.deepEqual(
    scripted.map(([path]) => path),
    [],
  );
});

it("npm run sbom lists every package in the form of CycloneDX, and marks those that only development needs", () => {
  const bom = JSON.parse(
    execFileSync("npm", ["run", "--silent", "sbom"], { cwd: root, maxBuffer: 1 << 26 }).toString(),
  ) as { readonly bomFormat: string; readonly components: readonly Component[] };
  assert.equal(bom.bomFormat, "CycloneDX");
  const listed = new Map(bom.components.map(each => [`${each.name}@${each.version}`, each]));
  const isMarked = (component: Component | undefined): boolean =>
    component?.properties?.some(({ name }) => name === "cdx:npm:package:development") ?? false;
  for (const [path, { version }] of production) {
    const component = listed.get(`${path.split("node_modules/").at(-1)}@${version}`);
    assert.ok(component !== undefined && !isMarked(component), path);
  }
  assert.ok(isMarked(bom.components.find(({ name }) => name === "typescript")));
});

for (const [what, report, exitCode, printed] of [
  ["a high finding fails", { high: 1, critical: 0 }, 1, /vulnerabilities in production dependencies/],
  [
    "a moderate finding is listed and fails nothing",
    { moderate: 1, high: 0, critical: 0 },
    0,
    /"moderate":1/,
  ],
  ["a registry without reports is said and fails nothing", undefined, 0, /^SKIPPED: .*405/],
] as const)
  it(`.ci/audit: ${what}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "protogate-audit-"));
    try {
      const output =
        report === undefined
          ? { message: "405 Method Not Allowed", error: { summary: "" } }
          : { auditReportVersion: 2, vulnerabilities: {}, metadata: { vulnerabilities: report } };
      // Stands for npm, which asks a registry that answers as it likes.
      writeFileSync(join(folder, "npm"), `#!/bin/sh\necho '${JSON.stringify(output)}'\nexit 1\n`);
      chmodSync(join(folder, "npm"), 0o755);
      const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
      const { status, stdout } = spawnSync("bash", [join(root, ".ci/audit")], { encoding: "utf8", env });
      assert.equal(status, exitCode, stdout);
      assert.match(stdout, printed);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
