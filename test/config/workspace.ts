import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import type { LoadedGatewayConfig } from "../../src/gateway/config.js";
import { loadConfig } from "../../src/gateway/config.js";

type Environment = Readonly<Record<string, string>>;

/** A temporary folder with a configuration and the files that it names; removed when the test file ends. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), "protogate-config-"));

  constructor(files: Readonly<Record<string, string | Uint8Array>> = {}) {
    for (const [name, content] of Object.entries(files)) this.write(name, content);
    after(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  load(yaml: string | Uint8Array, env: Environment = {}): LoadedGatewayConfig {
    return loadConfig(this.write("gateway.yaml", yaml), env);
  }

  /** The messages of loading `yaml`, one a line, with the folder's name left out. */
  problems(yaml: string | Uint8Array, env: Environment = {}): readonly string[] {
    return this.load(yaml, env).diagnostics.map(each =>
      formatDiagnostic(each).replaceAll(`${this.folder}/`, ""),
    );
  }

  /** The loaded configuration; throws its problems where it has any. */
  config(yaml: string, env: Environment = {}): NonNullable<LoadedGatewayConfig["config"]> {
    const { config, diagnostics } = this.load(yaml, env);
    if (config === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
    return config;
  }
}
