import { parseArgs } from "node:util";
import { nearest } from "../config/nearest.js";

/** A mistake on the command line; the message tells what to type instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Arguments {
  readonly positionals: readonly string[];
  /** Value of `-c`/`--config`; undefined where it was not given. */
  readonly config: string | undefined;
  readonly json: boolean;
}

const options = {
  config: { type: "string", short: "c" },
  json: { type: "boolean" },
} as const;

/**
 * Reads what follows a command's name.
 * @param expected names of the positional arguments, all required
 * @throws UsageError
 */
export function readArguments(
  command: string,
  args: readonly string[],
  expected: readonly string[],
): Arguments {
  const { values, positionals } = parse(command, args);
  if (positionals.length !== expected.length) {
    const wanted = expected.length === 0 ? "no further arguments" : expected.join(" ");
    throw new UsageError(
      `${command} takes ${wanted}, found ${positionals.length === 0 ? "none" : positionals.join(" ")}`,
    );
  }
  return { positionals, config: values.config, json: values.json ?? false };
}

/** @throws UsageError where there is no `-c` */
export function configOf(command: string, { config }: Arguments): string {
  if (config === undefined)
    throw new UsageError(`${command} needs a configuration: protogate ${command} -c gateway.yaml`);
  return config;
}

function parse(command: string, args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const unknown = args.find(
      arg => arg.startsWith("--") && !Object.hasOwn(options, arg.slice(2).split("=")[0] ?? ""),
    );
    const near = unknown === undefined ? undefined : nearest(unknown.slice(2), Object.keys(options));
    const hint = near === undefined ? "" : `; did you mean --${near}?`;
    throw new UsageError(
      `${command}: ${error instanceof Error ? error.message.split(". ")[0] : String(error)}${hint}`,
    );
  }
}
