import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const dist = join(here, "dist");
const common = { bundle: true, target: "es2022", write: false, legalComments: "none" };

const [modules, script, fallback, page] = await Promise.all([
  build({
    ...common,
    entryPoints: ["index", "fallback", "testing"].map(name => join(here, `src/${name}.ts`)),
    format: "esm",
    splitting: true,
    chunkNames: "shared",
    outdir: dist,
  }),
  // Every export is a member of the global `Protogate`.
  build({
    ...common,
    entryPoints: [join(here, "src/index.ts")],
    format: "iife",
    globalName: "Protogate",
    minify: true,
    outfile: join(dist, "protogate-client.min.js"),
  }),
  build({
    ...common,
    entryPoints: [join(here, "src/fallback.ts")],
    format: "iife",
    globalName: "ProtogateFallback",
    minify: true,
    outfile: join(dist, "protogate-fallback.min.js"),
  }),
  // The chat page of the demo has a copy of its own.
  build({
    ...common,
    stdin: {
      contents: 'export * from "./src/index.js"; export * from "./src/fallback.js";',
      resolveDir: here,
    },
    format: "esm",
    minify: true,
    outfile: join(here, "../../src/demo/page/client.js"),
  }),
]);

for (const { path, contents } of [modules, script, fallback, page].flatMap(
  ({ outputFiles }) => outputFiles,
)) {
  mkdirSync(dirname(path), { recursive: true });
  if (!isSame(path, contents)) writeFileSync(path, contents);
}

function isSame(path, contents) {
  try {
    return readFileSync(path).equals(Buffer.from(contents));
  } catch {
    return false;
  }
}
