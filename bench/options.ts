import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { nearest } from "../src/config/nearest.js";

export interface Options {
  /** Names of groups, in the order of the table of groups. */
  readonly groups: readonly string[];
  /** Fewer and shorter rounds: each group takes about a minute. */
  readonly quick: boolean;
  /** Where the rows go as JSON. */
  readonly json: string | undefined;
  /** Another checkout, built, that the gateway is compared with in place of its rivals. */
  readonly base: string | undefined;
}

/** Something in the command line that cannot be done. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/**
 * Reads `--only GROUP` (repeatable, also `a,b`), `--quick`, `--json FILE` and `--base FOLDER`.
 * @param known groups that can be named
 * @param usual those that run where none is named
 * @throws OptionError saying what was expected
 */
export function readOptions(
  args: readonly string[],
  known: readonly string[],
  usual: readonly string[],
): Options {
  const { only = [], quick = false, json, base } = parse(args);
  const wanted = only.flatMap(each => each.split(","));
  for (const name of wanted) if (!known.includes(name)) throw unknownGroup(name, known);
  if (json !== undefined && !existsSync(dirname(resolve(json))))
    throw new OptionError(`--json ${json}: there is no folder ${dirname(resolve(json))}`);
  if (base !== undefined && !existsSync(resolve(base, "dist/main.js")))
    throw new OptionError(`--base ${base}: expected a checkout that is built; there is no dist/main.js`);
  return {
    groups: wanted.length === 0 ? usual : known.filter(name => wanted.includes(name)),
    quick,
    json,
    base: base === undefined ? undefined : resolve(base),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string", multiple: true },
        quick: { type: "boolean" },
        json: { type: "string" },
        base: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new OptionError(
      `${(error as Error).message}\nusage: npm run bench -- [--only GROUP] [--quick] [--json FILE] [--base FOLDER]`,
    );
  }
}

function unknownGroup(name: string, known: readonly string[]): OptionError {
  const near = nearest(name, known);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new OptionError(`there is no group "${name}": expected one of ${known.join(", ")}${hint}`);
}
