import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

/** The module order, top first. A module imports only modules on lower lines; modules on one line do not meet. */
const order: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["demo"],
  ["gateway"],
  ["pipeline", "admin", "realtime"],
  ["server"],
  ["livekit"],
  ["bindings"],
  ["auth", "limits", "validation"],
  ["codec", "upstream"],
  ["routing", "descriptors"],
  ["telemetry", "h2"],
  ["config"],
  ["dialects"],
  ["status", "net"],
  ["wire"],
];

const root = resolve(import.meta.dirname, "../../src");
const level = new Map(order.flatMap((modules, index) => modules.map(name => [name, index] as const)));

function sources(): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).filter(file => file.endsWith(".ts"));
}

function imports(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g)].map(
    match => match[1] ?? "",
  );
  return specifiers.map(specifier =>
    relative(root, resolve(root, dirname(file), specifier)).replace(/\.js$/, ".ts"),
  );
}

function moduleOf(file: string): string {
  return file.split("/")[0] ?? file;
}

test("every source folder has its line in the module order", () => {
  const unplaced = sources().filter(file => !level.has(moduleOf(file)));
  assert.deepEqual(unplaced, []);
});

test("imports run downward only", () => {
  const wrong: string[] = [];
  for (const file of sources()) {
    for (const target of imports(file)) {
      const from = moduleOf(file);
      const to = moduleOf(target);
      if (from !== to && (level.get(from) ?? -1) >= (level.get(to) ?? -1))
        wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});
