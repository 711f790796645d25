import { nearest } from "../config/nearest.js";
import { version } from "../telemetry/version.js";
import { UsageError } from "./arguments.js";

/** Runs with the arguments after the command's name; gives the exit code. */
type Command = (args: readonly string[]) => Promise<number>;

/** Each is loaded when it is run: to serve needs neither the demo nor what explains routes. */
const commands: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["serve", async () => (await import("./serve.js")).serve],
  ["check", async () => (await import("./check.js")).check],
  ["routes", async () => (await import("./routes.js")).routes],
  ["explain", async () => (await import("./explain.js")).explain],
  ["api-key", async () => (await import("./api-key.js")).apiKey],
  ["schema", async () => (await import("./schema.js")).schema],
  ["demo", async () => (await import("./demo.js")).demo],
]);

const usage = `Protogate ${version}: REST in front of gRPC backends, from one YAML file.

  protogate serve   -c FILE                        run the gateway
  protogate check   -c FILE [--json]               report every problem of a configuration; exit 1 where there is an error
  protogate routes  -c FILE [--json]               list the routes
  protogate explain -c FILE METHOD 'PATH?QUERY' [--json]
                                                   tell which route answers a request, and why
  protogate api-key SUBJECT                        make an API key and its entry for a key file
  protogate schema                                 print the JSON Schema of the configuration, for editors
  protogate demo                                   run the demo gateway with its own backend
`;

/** Runs one command line. Never throws; gives the exit code: 0 done, 1 failed, 2 wrongly called. */
export async function run(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(usage);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const load = commands.get(name);
  if (load === undefined) {
    const near = nearest(name, commands.keys());
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    process.stderr.write(`protogate: unknown command "${name}"${hint}\n\n${usage}`);
    return 2;
  }
  try {
    const command = await load();
    return await command(rest);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`protogate: ${error.message}\n`);
      return 2;
    }
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
