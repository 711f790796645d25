/**
 * Bundles what TypeScript has checked into `dist/`: a few files instead of four hundred, since reading and linking
 * modules is half of the start of a small gateway. Packages are not bundled; what is imported dynamically is a file of
 * its own.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const source = join(here, "src");
const dist = join(here, "dist");
const worker = "gateway/workers/worker";

/** Modules find files by where they are: `import.meta.url` stays what it would be without bundling. */
const ownUrls = {
  name: "own-urls",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const url = `new URL("./${relative(source, path).replace(/ts$/, "js")}", import.meta.url).href`;
      return { contents: readFileSync(path, "utf8").replaceAll("import.meta.url", url), loader: "ts" };
    });
  },
};

const { outputFiles } = await build({
  entryPoints: { main: join(source, "main.ts"), worker: join(source, `${worker}.ts`) },
  // All files are in one folder, so that the same path leads to a module from each of them.
  outdir: dist,
  bundle: true,
  splitting: true,
  format: "esm",
  packages: "external",
  platform: "node",
  target: "node20",
  sourcemap: true,
  legalComments: "none",
  // Comments and indentation would be kept in memory, two bytes a character where one of them is not ASCII.
  minifyWhitespace: true,
  lineLimit: 110,
  plugins: [ownUrls],
  write: false,
});

rmSync(dist, { recursive: true, force: true });
for (const { path, contents } of outputFiles) write(path, contents);
// The script that the primary starts: beside where it is itself.
write(join(dist, `${worker}.js`), `import "../../worker.js";\n`);
for (const folder of ["admin/page", "demo/page", "docs-page/assets", "net/page"])
  cpSync(join(source, folder), join(dist, folder), { recursive: true });

function write(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
