import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

/** The module order, top first. A module imports only modules on lower lines; modules on one line do not meet. */
const order: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["demo", "audit"],
  ["gateway"],
  ["pipeline", "admin", "realtime", "docs-page"],
  ["protocols"],
  ["server"],
  ["livekit", "openapi", "explain"],
  ["bindings"],
  ["compression", "uploads"],
  ["auth", "limits", "validation"],
  ["codec", "upstream"],
  ["routing", "descriptors"],
  ["workers"],
  ["telemetry", "h2"],
  ["config"],
  ["dialects"],
  ["status"],
  ["net"],
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

test("docs/architecture.md shows the module order", () => {
  const text = readFileSync(join(root, "../docs/architecture.md"), "utf8");
  const shown = /^main\.ts → .*$/m
    .exec(text)?.[0]
    .split(" → ")
    .map(modules => modules.split(", ").sort());
  assert.deepEqual(
    shown,
    order.map(modules => [...modules].sort()),
  );
  const rows = [...text.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name = ""]) => name);
  assert.deepEqual(
    rows.sort(),
    [...level.keys()].filter(name => name !== "main.ts").sort(),
    "the table of modules",
  );
});

test("the core imports no feature", () => {
  const features = [
    "realtime",
    "livekit",
    "openapi",
    "explain",
    "docs-page",
    "admin",
    "demo",
    "audit",
    "cli",
  ];
  const core = ["pipeline", "protocols", "server", "bindings", "codec", "upstream", "routing"];
  const wrong = sources()
    .filter(file => core.includes(moduleOf(file)))
    .flatMap(file => imports(file).map(target => [file, target] as const))
    .filter(([, target]) => features.includes(moduleOf(target)));
  assert.deepEqual(wrong, []);
});

test("no imports run in a circle, inside modules and of types neither", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) circles.push([...path.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of imports(file)) visit(target);
    path.pop();
    done.add(file);
  };
  const all = new Set(sources());
  for (const file of all) visit(file);
  assert.deepEqual(circles, []);
});

test("libraries that the source imports are dependencies, those that it takes only types from need not be", () => {
  const manifest = readFileSync(join(root, "../package.json"), "utf8");
  const { dependencies } = JSON.parse(manifest) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const missing = sources().flatMap(file => {
    const text = readFileSync(join(root, file), "utf8");
    return [
      ...text.matchAll(
        /^(?:import|export) (?!type )[^;]*?from "((?:@[^/"]+\/)?[a-zA-Z][^/":]*)(?:\/[^"]*)?";/gm,
      ),
    ]
      .map(([, name = ""]) => name)
      .filter(name => dependencies[name] === undefined)
      .map(name => `${file}: ${name}`);
  });
  assert.deepEqual(missing, []);
});

test("no two modules export a type of one name", () => {
  const owners = new Map<string, string[]>();
  for (const file of sources()) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, name = ""] of text.matchAll(/^export (?:abstract )?(?:interface|type|class|enum) (\w+)/gm))
      owners.set(name, [...(owners.get(name) ?? []), file]);
  }
  const twice = [...owners].filter(([, files]) => files.length > 1);
  assert.deepEqual(twice, []);
});

test("no source file is longer than 360 lines", () => {
  const long = sources().filter(file => readFileSync(join(root, file), "utf8").split("\n").length > 361);
  assert.deepEqual(long, []);
});

/** Files under 45 lines that one other file imports, and that stand alone for being looked for by name. */
const concepts: ReadonlySet<string> = new Set([
  "bindings/convention.ts",
  "demo/chat-page.ts",
  "livekit/livekit.ts",
  "livekit/token-route.ts",
  "net/young-generation.ts",
  "upstream/transports.ts",
]);

test("a file of fewer than 45 lines with one importer is part of it, unless it is a kind, a command or a concept", () => {
  const all = sources();
  const importers = new Map<string, Set<string>>(all.map(file => [file, new Set()]));
  for (const file of all) for (const target of imports(file)) importers.get(target)?.add(file);
  const fragments = all.filter(file => {
    // Configuration sections, commands and dialects: one file each, however short.
    if (/(?:^|\/)config\.ts$|^cli\/|^dialects\//.test(file)) return false;
    return readFileSync(join(root, file), "utf8").split("\n").length <= 45 && importers.get(file)?.size === 1;
  });
  assert.deepEqual(
    fragments.filter(file => !concepts.has(file)),
    [],
  );
});

test("the core names no vendor", () => {
  const core = ["pipeline", "status", "routing", "upstream", "server", "codec", "h2", "wire"];
  const naming = sources().filter(
    file => core.includes(moduleOf(file)) && /openim/i.test(readFileSync(join(root, file), "utf8")),
  );
  assert.deepEqual(naming, []);
});

test("names in capitals are constants that a standard fixes: literals and marks, no limits and no tables", () => {
  const declared = /^\s*(?:export )?const ([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)(?:: [^=]+)? = (.*)$/gm;
  const literal = /^(?:-?[0-9][0-9a-fx_]*|"[^"]*"|Symbol\(.*\));$/;
  const wrong = sources().flatMap(file =>
    [...readFileSync(join(root, file), "utf8").matchAll(declared)]
      .filter(([, name = "", value = ""]) => /^(?:MAX|MIN)_/.test(name) || !literal.test(value))
      .map(([, name]) => `${file}: ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test("no signal of src can be garbage collected before it aborts", () => {
  // Node.js collects composed signals and those of timers while only `fetch` listens: src/net/timed-requests.ts.
  const using = sources().filter(file =>
    /AbortSignal\s*\.\s*(any|timeout)\(/.test(readFileSync(join(root, file), "utf8")),
  );
  assert.deepEqual(using, []);
});
