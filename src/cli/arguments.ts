import { parseArgs } from "node:util";
import { nearest } from "../config/nearest.js";

/** A mistake on the command line; the message says what was found and what to type instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a command takes. */
export interface Expected {
  /** Names of the positional arguments, all required. */
  readonly positionals?: readonly string[];
  readonly options?: readonly (keyof typeof known)[];
  /** What `-c` is where it is left out; without it `-c` is required. */
  readonly config?: string;
}

export interface Arguments {
  readonly positionals: readonly string[];
  /** The value of `-c`/`--config`; empty only for commands that take none. */
  readonly config: string;
  readonly json: boolean;
  readonly strict: boolean;
  readonly yaml: boolean;
  readonly service: string | undefined;
}

const known = {
  config: { type: "string", short: "c", multiple: true },
  json: { type: "boolean" },
  strict: { type: "boolean" },
  yaml: { type: "boolean" },
  service: { type: "string" },
} as const;

/**
 * Reads what follows a command's name.
 * @throws UsageError
 */
export function readArguments(args: readonly string[], expected: Expected): Arguments {
  const { positionals: names = [], options = [] } = expected;
  const { values, positionals } = parse(args, options);
  if (positionals.length !== names.length || positionals.includes("")) {
    const found = positionals.length === 0 ? "nothing" : positionals.map(text => text || '""').join(" ");
    const [file = ""] = positionals;
    const hint = names.length === 0 && values.config === undefined && options.includes("config");
    throw new UsageError(
      `expected ${names.join(" ") || "no further argument"}, found ${found}${hint ? `; did you mean -c ${file}?` : ""}`,
    );
  }
  return {
    positionals,
    config: options.includes("config")
      ? configOf(values.config ?? (expected.config === undefined ? [] : [expected.config]))
      : "",
    json: values.json ?? false,
    strict: values.strict ?? false,
    yaml: values.yaml ?? false,
    service: values.service,
  };
}

function configOf([file = "", ...more]: readonly string[]): string {
  if (file === "") throw new UsageError("expected a configuration, -c FILE");
  if (file.startsWith("=")) throw new UsageError(`found -c${file}; did you mean -c ${file.slice(1)}?`);
  if (more.length > 0)
    throw new UsageError(`expected one configuration, found ${[file, ...more].join(", ")}`);
  return file;
}

function parse(args: readonly string[], options: readonly (keyof typeof known)[]) {
  const wrong = args.find(arg => arg.startsWith("-") && !options.some(name => isOption(arg, name)));
  if (wrong !== undefined) {
    const near = nearest(wrong.replace(/^-+|=.*$/g, ""), options);
    throw new UsageError(`unknown option ${wrong}${near === undefined ? "" : `; did you mean --${near}?`}`);
  }
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true });
  } catch (error) {
    // All names are known here: --config or --service without a value, or a switch with one.
    const [name] = (error instanceof Error && /--(json|strict|yaml|service)/.exec(error.message)) || [];
    if (name === "--service") throw new UsageError("expected the name of a service after --service");
    throw new UsageError(name === undefined ? "expected a file after -c" : `${name} takes no value`);
  }
}

function isOption(arg: string, name: keyof typeof known): boolean {
  return arg === `--${name}` || arg.startsWith(`--${name}=`) || (name === "config" && /^-c/.test(arg));
}
