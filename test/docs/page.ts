import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

export interface Session {
  readonly command: string;
  /** The commands of the same block that set variables, one a line. */
  readonly setup: string;
  readonly answer: string;
}

/** A page of the documentation, whose blocks are executed. */
export class Page {
  readonly text: string;

  /** @param path relative to the root of the repository */
  constructor(path: string) {
    this.text = readFileSync(resolve(root, path), "utf8");
  }

  /** The content of the fenced blocks of a language, in the order of the page. */
  blocks(language: string): string[] {
    const fenced = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm");
    return [...this.text.matchAll(fenced)].map(([, block = ""]) => block);
  }

  /** The cells of the table with that head, row by row. */
  tableRows(...head: readonly string[]): string[][] {
    const lines = this.text.split("\n");
    const first = lines.indexOf(`| ${head.join(" | ")} |`) + 2;
    const end = lines.findIndex((line, index) => index >= first && !line.startsWith("|"));
    return lines.slice(first, end).map(line => line.slice(2, -2).split(" | "));
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
          return [{ command, setup, answer: entry.slice(end + 1).trimEnd() }];
        });
    });
  }
}

export const readme = new Page("README.md");
