import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");

/** Packages that come with a module for the first time, by the chain of imports that leads there; types do not count. */
function packagesOf(entry: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  const seen = new Map<string, readonly string[]>([[join(ROOT, entry), []]]);
  for (const [file, chain] of seen) {
    const here = [...chain, relative(ROOT, file)];
    const statements = readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\s+(?!type\s)([^;]*?\bfrom\s+)?"([^"]+)"/gm,
    );
    for (const [, names, specifier = ""] of statements) {
      if (names !== undefined && onlyTypes(names)) continue;
      if (!specifier.startsWith(".")) {
        if (!found.has(specifier)) found.set(specifier, here);
        continue;
      }
      const target = resolve(dirname(file), specifier.replace(/\.js$/, ".ts"));
      if (!seen.has(target)) seen.set(target, here);
    }
  }
  return found;
}

/** `{ type A, type B } from`, which leaves no import behind. */
function onlyTypes(names: string): boolean {
  const list = /^\{([^}]*)\}\s+from\s+$/.exec(names)?.[1];
  return list?.split(",").every(name => name.trim() === "" || name.trim().startsWith("type ")) ?? false;
}

test("the gateway starts without the libraries that only validation rules need", () => {
  const packages = packagesOf("src/gateway/gateway.ts");
  assert.ok(packages.has("pino"), "the walk of imports has found nothing");
  for (const [specifier, chain] of packages) {
    assert.doesNotMatch(specifier, /^@bufbuild\/protovalidate/, chain.join(" → "));
    assert.doesNotMatch(specifier, /^@bufbuild\/protobuf/, chain.join(" → "));
  }
});

test("only validation itself imports the libraries that enforce rules", () => {
  assert.ok(packagesOf("src/validation/protovalidate.ts").has("@bufbuild/protovalidate"));
});
