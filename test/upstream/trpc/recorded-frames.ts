import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What was sent to a server of tRPC-Go 0.14, and what came from it. */
export interface Exchange {
  readonly title: string;
  readonly sent: Buffer;
  readonly received: readonly Buffer[];
}

/** The exchanges of recorded-frames.txt: `#` a title or a remark, `>` sent, `<` received. */
export const exchanges: readonly Exchange[] = readExchanges();

function readExchanges(): Exchange[] {
  const text = readFileSync(join(import.meta.dirname, "recorded-frames.txt"), "utf8");
  return text
    .split("\n\n")
    .filter(block => block.trim() !== "")
    .map(block => {
      const lines = block.trim().split("\n");
      const bytes = (mark: string) =>
        lines.filter(line => line.startsWith(mark)).map(line => Buffer.from(line.slice(2), "hex"));
      return {
        title: (lines[0] ?? "").slice(2),
        sent: Buffer.concat(bytes("> ")),
        received: bytes("< "),
      };
    });
}

export function exchange(title: string): Exchange {
  const found = exchanges.find(each => each.title === title);
  if (found === undefined) throw new Error(`no exchange "${title}" in recorded-frames.txt`);
  return found;
}
