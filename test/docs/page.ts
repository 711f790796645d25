import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { root } from "../node-script.js";

export interface Session {
  readonly command: string;
  /** The commands of the same block that set variables, one a line. */
  readonly setup: string;
  /** What the page says that the command prints. */
  readonly output: string;
}

/** A fenced block of a page. */
export interface Block {
  /** What stands behind the opening fence; empty: nothing. */
  readonly language: string;
  readonly text: string;
}

/** A page of the documentation, whose blocks are executed. */
export class Page {
  readonly text: string;
  readonly allBlocks: readonly Block[];
  /** The lines outside blocks; those of blocks are empty. */
  readonly prose: readonly string[];

  /** @param path relative to the root of the repository */
  constructor(readonly path: string) {
    this.text = readFileSync(resolve(root, path), "utf8");
    const blocks: Block[] = [];
    const prose: string[] = [];
    let open: { language: string; lines: string[] } | undefined;
    for (const line of this.text.split("\n")) {
      const fence = /^```(.*)$/.exec(line);
      if (fence === null) open?.lines.push(line);
      else if (open === undefined) open = { language: fence[1] ?? "", lines: [] };
      else {
        blocks.push({ language: open.language, text: open.lines.map(each => `${each}\n`).join("") });
        open = undefined;
      }
      prose.push(open === undefined && fence === null ? line : "");
    }
    if (open !== undefined) throw new Error(`${path}: a block has no end`);
    this.allBlocks = blocks;
    this.prose = prose;
  }

  /** The content of the fenced blocks of a language, in the order of the page. */
  blocks(language: string): string[] {
    return this.allBlocks.filter(block => block.language === language).map(({ text }) => text);
  }

  /** The cells of the table with that head, row by row. */
  tableRows(...head: readonly string[]): string[][] {
    const first = this.prose.indexOf(`| ${head.join(" | ")} |`) + 2;
    if (first < 2) throw new Error(`${this.path}: no table has the head ${head.join(", ")}`);
    const end = this.prose.findIndex((line, index) => index >= first && !line.startsWith("|"));
    return this.prose.slice(first, end).map(line => line.slice(2, -2).split(" | "));
  }

  /** Every `$ command` of the `console` blocks with the lines that follow it. */
  sessions(): Session[] {
    return this.blocks("console").flatMap(block => {
      let setup = "";
      return block
        .split(/^\$ /m)
        .slice(1)
        .flatMap(entry => {
          const end = entry.indexOf("\n");
          const command = entry.slice(0, end);
          if (/^\w+=/.test(command)) {
            setup += `${command}\n`;
            return [];
          }
          return [{ command, setup, output: entry.slice(end + 1).trimEnd() }];
        });
    });
  }

  /** The targets of its links, without those to other hosts. */
  links(): string[] {
    const prose = this.prose.join("\n").replaceAll(/`[^`]*`/g, "");
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target)
      .filter(target => !/^[a-z]+:/.test(target));
  }

  /** The names by which links lead to its headings, as GitHub makes them. */
  anchors(): Set<string> {
    const headings = this.prose.flatMap(line => /^#+ (.*)$/.exec(line)?.[1] ?? []);
    return new Set(
      headings.map(heading =>
        heading
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
          .replaceAll(" ", "-"),
      ),
    );
  }
}

export const readme = new Page("README.md");

/** Every page of the repository. */
export const pages: readonly Page[] = [
  readme,
  ...["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md"]
    .filter(path => existsSync(join(root, path)))
    .map(path => new Page(path)),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter(path => path.endsWith(".md"))
    .sort()
    .map(path => new Page(`docs/${path}`)),
];

/** Pages whose blocks test/guides executes against the server that they are about. */
export function isGuide({ path }: Page): boolean {
  return path.startsWith("docs/guides/");
}

/** A page under docs/reference. */
export function reference(name: string): Page {
  const page = pages.find(({ path }) => path === `docs/reference/${name}.md`);
  if (page === undefined) throw new Error(`docs/reference/${name}.md does not exist`);
  return page;
}
