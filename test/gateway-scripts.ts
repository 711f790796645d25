import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { root, scriptFile, scriptOptions } from "./node-script.js";

/**
 * Starts `protogate serve` in a process of its own; returns the URLs of the scripts that it has loaded once it serves.
 * @param files beside the configuration, by name
 */
export async function scriptsOfGateway(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  for (const [name, text] of Object.entries({ "gateway.yaml": config, ...files }))
    writeFileSync(join(folder, name), text);
  const probe = pathToFileURL(scriptFile("test/upstream/loaded-scripts.ts")).href;
  const child = fork(scriptFile("src/main.ts"), ["serve", "--config", join(folder, "gateway.yaml")], {
    cwd: root,
    execArgv: [...scriptOptions, "--import", probe],
    silent: true,
  });
  const exited = once(child, "exit");
  let output = "";
  child.stderr?.on("data", chunk => {
    output += chunk;
  });
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      output += `${line}\n`;
      if (!line.includes(`"msg":"ready"`)) continue;
      const reported = once(child, "message");
      child.send("scripts");
      const [urls] = (await reported) as [string[]];
      return urls;
    }
    throw new Error(`the gateway did not start: ${output}`);
  } finally {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  }
}
