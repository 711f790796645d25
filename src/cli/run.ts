import { nearest } from "../config/nearest.js";
import { errorMessage } from "../net/error-text.js";
import { withoutOptimizing } from "../net/late-optimization.js";
import { version } from "../telemetry/version.js";
import { UsageError } from "./arguments.js";

interface Command {
  /** The arguments after its name, for the usage. */
  readonly takes: string;
  readonly does: string;
  /** Each is loaded when it is run: serving needs neither the demo nor the explanation of routes. */
  load(): Promise<(args: readonly string[]) => Promise<number>>;
}

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    "serve",
    {
      takes: "-c FILE",
      does: "run the gateway; SIGHUP loads the file again, SIGTERM drains",
      load: async () => (await import("./serve.js")).serve,
    },
  ],
  [
    "check",
    {
      takes: "-c FILE [--json] [--strict]",
      does: "report every problem of a configuration; exit 1 where there is an error, with --strict also where there is a warning",
      load: async () => (await import("./check.js")).check,
    },
  ],
  [
    "audit",
    {
      takes: "-c FILE [--json] [--fail-on high|medium|low]",
      does: "list settings that are valid and risky; exit 1 where one is as severe as --fail-on says, by default high",
      load: async () => (await import("./audit.js")).auditCommand,
    },
  ],
  [
    "routes",
    {
      takes: "-c FILE [--json]",
      does: "list the routes",
      load: async () => (await import("./routes.js")).routes,
    },
  ],
  [
    "explain",
    {
      takes: "-c FILE METHOD 'PATH?QUERY' [--host HOST] [--json]",
      does: "show which route serves a request, and why; exit 1 if none does",
      load: async () => (await import("./explain.js")).explain,
    },
  ],
  [
    "openapi",
    {
      takes: "-c FILE [--service NAME] [--host HOST] [--yaml]",
      does: "print the OpenAPI document of what is served, of one service or at one host",
      load: async () => (await import("./openapi.js")).openapi,
    },
  ],
  [
    "api-key",
    {
      takes: "SUBJECT",
      does: "make an API key and its entry for a key file",
      load: async () => (await import("./api-key.js")).apiKey,
    },
  ],
  [
    "schema",
    {
      takes: "",
      does: "print the JSON Schema of the configuration, for editors",
      load: async () => (await import("./schema.js")).schema,
    },
  ],
  [
    "demo",
    {
      takes: "[-c FILE]",
      does: "run the demo, or an example, with a backend to try it on; HTTP_PORT, REALTIME_PORT and ADMIN_PORT choose ports",
      load: async () => (await import("./demo.js")).demo,
    },
  ],
]);

const configUsage =
  "-c FILE can be given several times, later files override earlier ones; so do single settings:\n      --set PATH=VALUE, such as --set upstreams.chat.timeout=5s\n";

function usageOf(name: string, { takes, does }: Command): string {
  return `  protogate ${name.padEnd(7)} ${takes}`.trimEnd().concat(`\n      ${does}\n`);
}

function usage(): string {
  const each = [...commands].map(([name, command]) => usageOf(name, command)).join("");
  return `Protogate ${version}: REST in front of gRPC backends, from one YAML file.\n\n${each}\n${configUsage}\nExit codes: 0 done, 1 failed, 2 wrongly called.\n`;
}

const helps: ReadonlySet<string | undefined> = new Set(["help", "--help", "-h"]);

/** Runs one command line. Never throws; gives the exit code: 0 done, 1 failed, 2 wrongly called. */
export async function run(args: readonly string[]): Promise<number> {
  // The reader of the output may close it early.
  process.stdout.on("error", error => {
    if ("code" in error && error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const [name, ...rest] = helps.has(args[0]) && args.length > 1 ? [...args.slice(1), "--help"] : args;
  if (name === undefined) {
    process.stderr.write(usage());
    return 2;
  }
  if (helps.has(name)) {
    process.stdout.write(usage());
    return 0;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const command = commands.get(name);
  if (command === undefined) {
    const near = nearest(name, commands.keys());
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    process.stderr.write(
      `protogate: unknown command "${name}"${hint}\nexpected ${[...commands.keys()].join(", ")}; see protogate --help\n`,
    );
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(usageOf(name, command) + (command.takes.includes("-c FILE") ? configUsage : ""));
    return 0;
  }
  try {
    return await (await withoutOptimizing(command.load))(rest);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(
        `protogate ${name}: ${error.message}\nusage: ${`protogate ${name} ${command.takes}`.trimEnd()}\n`,
      );
      return 2;
    }
    process.stderr.write(`${errorMessage(error)}\n`);
    return 1;
  }
}
