import { parseArgs } from "node:util";
import type { ConfigInput } from "../config/compose.js";
import { nearest } from "../config/nearest.js";

/** A mistake on the command line; the message names the found argument and the expected one. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The arguments of a command. */
export interface Expected {
  /** Names of the positional arguments, all required. */
  readonly positionals?: readonly string[];
  readonly options?: readonly OptionName[];
  /** The default of `-c`; without it one is required. */
  readonly config?: string;
}

export interface Arguments {
  readonly positionals: readonly string[];
  /** The values of `-c`/`--config` and `--set`; without files only for commands that take none. */
  readonly config: ConfigArguments;
  readonly json: boolean;
  readonly strict: boolean;
  readonly yaml: boolean;
  readonly service: string | undefined;
  readonly host: string | undefined;
  /** Least severity that is a failure. */
  readonly failOn: string | undefined;
}

type ConfigArguments = Exclude<Required<ConfigInput>, string>;

const known = {
  config: { type: "string", short: "c", multiple: true },
  set: { type: "string", multiple: true },
  json: { type: "boolean" },
  strict: { type: "boolean" },
  yaml: { type: "boolean" },
  service: { type: "string" },
  host: { type: "string" },
  "fail-on": { type: "string" },
} as const;

/** `config` means `-c` and `--set`. */
type OptionName = Exclude<keyof typeof known, "set">;

/**
 * Reads the arguments after a command's name.
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
      ? configOf(values.config ?? (expected.config === undefined ? [] : [expected.config]), values.set ?? [])
      : { files: [], settings: [] },
    json: values.json ?? false,
    strict: values.strict ?? false,
    yaml: values.yaml ?? false,
    service: values.service,
    host: values.host,
    failOn: values["fail-on"],
  };
}

function configOf(files: readonly string[], settings: readonly string[]): ConfigArguments {
  if (files.length === 0 || files.includes("")) throw new UsageError("expected a configuration, -c FILE");
  const glued = files.find(file => file.startsWith("="));
  if (glued !== undefined) throw new UsageError(`found -c${glued}; did you mean -c ${glued.slice(1)}?`);
  return { files, settings };
}

function parse(args: readonly string[], options: readonly OptionName[]) {
  const wrong = args.find(arg => arg.startsWith("-") && !options.some(name => isOption(arg, name)));
  if (wrong !== undefined) {
    const near = nearest(wrong.replace(/^-+|=.*$/g, ""), options);
    throw new UsageError(`unknown option ${wrong}${near === undefined ? "" : `; did you mean --${near}?`}`);
  }
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true });
  } catch (error) {
    // All names are known here: --config or --service without a value, or a switch with one.
    const [name] =
      (error instanceof Error && /--(json|set|strict|yaml|service|host|fail-on)/.exec(error.message)) || [];
    if (name === "--fail-on") throw new UsageError("expected high, medium or low after --fail-on");
    if (name === "--service") throw new UsageError("expected the name of a service after --service");
    if (name === "--host") throw new UsageError("expected a host after --host, such as api.example.com");
    if (name === "--set")
      throw new UsageError("expected PATH=VALUE after --set, such as upstreams.chat.timeout=5s");
    throw new UsageError(name === undefined ? "expected a file after -c" : `${name} takes no value`);
  }
}

function isOption(arg: string, name: OptionName): boolean {
  if (name === "config" && /^-c|^--set(=|$)/.test(arg)) return true;
  return arg === `--${name}` || arg.startsWith(`--${name}=`);
}
