import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, it } from "node:test";
import { root, scriptArguments } from "../node-script.js";
import { isGuide, type Page, pages, readme } from "./page.js";

const pageOf = new Map(pages.map(page => [page.path, page]));

/** Languages of blocks that tests execute or compare, and `text` for figures. */
/** Those in html run in Chromium (test/streams/browser.test.ts), those of proxies in test/guides/proxies.test.ts. */
const languages = new Set(["console", "yaml", "proto", "js", "sh", "text", "html", "nginx", "haproxy"]);

const scripts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts as Record<
  string,
  string
>;
const usage = execFileSync("node", [...scriptArguments("src/main.ts"), "--help"], { cwd: root }).toString();

for (const page of pages) describePage(page);

function describePage(page: Page): void {
  it(`${page.path} has only blocks that a test executes`, () => {
    for (const { language, text } of page.allBlocks) assert.ok(languages.has(language), text);
  });

  it(`${page.path} names commands that exist in its sh blocks`, () => {
    if (isGuide(page)) return;
    for (const line of page.blocks("sh").flatMap(block => block.trim().split("\n")))
      for (const command of line.replace(/ #.*/, "").split(" && ")) assertCommand(command.trim());
  });

  it(`${page.path} has no line over 200 characters outside tables and blocks`, () => {
    // One line an entry, so that branches merge.
    if (page.path === "CHANGELOG.md") return;
    const long = page.prose.filter(line => line.length > 200 && !line.startsWith("|"));
    assert.deepEqual(long, []);
  });

  it(`${page.path} links only to pages, sections and files that exist`, () => {
    const broken = page.links().filter(link => {
      const [target = "", anchor] = link.split("#");
      const path = target === "" ? page.path : relative(root, resolve(root, dirname(page.path), target));
      if (!existsSync(join(root, path))) return true;
      return anchor !== undefined && pageOf.get(path)?.anchors().has(anchor) !== true;
    });
    assert.deepEqual(broken, []);
  });

  it(`${page.path} names only files of the repository that exist`, () => {
    const missing = paths(page).filter(path => !existsSync(join(root, path)));
    assert.deepEqual([...new Set(missing)], []);
  });
}

function assertCommand(command: string): void {
  const [program = "", ...args] = command.split(/\s+/);
  if (program === "npm") {
    const [verb = "", name = ""] = args;
    const script = verb === "run" ? name : verb;
    assert.ok(["ci", "install"].includes(verb) || script in scripts, command);
  } else if (program === "node" && args[0] === "dist/main.js")
    assert.ok(usage.includes(`protogate ${args[1]} `), command);
  else if (program === "node")
    assert.ok(
      args.some(arg => existsSync(join(root, arg))),
      command,
    );
  else assert.ok(existsSync(join(root, program)), command);
}

/** What looks like a file or folder of the repository; those with placeholders are left out. */
function paths(page: Page): string[] {
  return [...page.text.matchAll(/(?<![\w./-])(?:src|test|bench|\.ci|docs\/\w+)\/[\w./*<>{},-]*[\w*>}/]/g)]
    .map(([path]) => path.replace(/\/$/, ""))
    .filter(path => !/[*<>{}]/.test(path));
}

describe("the documentation as a whole", () => {
  it("README.md has at most 150 lines", () => {
    assert.ok(readme.text.split("\n").length <= 151);
  });

  it("docs/README.md links to every page under docs", () => {
    const index = pageOf.get("docs/README.md");
    const linked = new Set(index?.links().map(link => join("docs", link)));
    const decisions = /^docs\/decisions\/\d/;
    const missing = pages
      .map(({ path }) => path)
      .filter(path => path.startsWith("docs/") && path !== "docs/README.md" && !decisions.test(path))
      .filter(path => !linked.has(path));
    assert.deepEqual(missing, []);
  });

  it("docs/architecture.md has the order of modules that test/house checks, and a row for each module", () => {
    const architecture = pageOf.get("docs/architecture.md");
    const written = architecture?.blocks("text").find(block => block.startsWith("main.ts"));
    const house = readFileSync(join(root, "test/house/import-order.test.ts"), "utf8");
    const [, list = ""] = /^const order[^=]*= (\[\n[\s\S]*?\n\]);/m.exec(house) ?? [];
    const order = [...list.matchAll(/^ {2}\[(.*)\],$/gm)].map(([, names = ""]) => names.replaceAll('"', ""));
    assert.equal(written?.trim(), order.join(" → "));
    const rows = architecture
      ?.tableRows("module", "what it is")
      .map(([name = ""]) => name.replaceAll("`", ""));
    const modules = order.flatMap(names => names.split(", ")).filter(name => name !== "main.ts");
    assert.deepEqual(rows?.toSorted(), modules.toSorted());
  });

  it("test/guides executes every guide", () => {
    const tests = ["guides/guides.test.ts", "guides/proxies.test.ts", "faults/fault.ts"]
      .map(file => readFileSync(join(root, "test", file), "utf8"))
      .join("\n");
    for (const page of pages.filter(isGuide)) assert.ok(tests.includes(`"${page.path}"`), page.path);
  });

  it("every file under docs is a page", () => {
    assert.ok(statSync(join(root, "docs")).isDirectory());
    const files = execFileSync("git", ["ls-files", "docs"], { cwd: root }).toString().trim().split("\n");
    assert.deepEqual(
      files.filter(file => !pageOf.has(file)),
      [],
    );
  });
});
