import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { Page } from "../docs/page.js";
import { root, scriptArguments } from "../node-script.js";
import { freePorts, untilAccepts } from "../ports.js";
import { moduleFolder, whyNoApis } from "../real-apis/apis.js";

/** A page that puts the gateway in front of a real server, whose configurations and commands are executed. */
interface Guide {
  readonly page: string;
  /** Why it cannot be executed on this machine. */
  readonly skip: string | undefined;
  /** The file that the page says to write. */
  readonly file: string;
  /** The gRPC port that the page names. */
  readonly port: number;
  /** Starts the server with its gRPC port there. @param folder where the configuration lies */
  start(
    port: number,
    spare: number,
    folder: string,
  ): { readonly command: string; readonly args: readonly string[] };
  /** Variables that later commands of the page use, taken from the first response that has them. */
  readonly captures: Readonly<Record<string, RegExp>>;
  /** What differs from run to run. */
  readonly varying: readonly (readonly [RegExp, string])[];
}

const guides: readonly Guide[] = [
  {
    page: "docs/guides/etcd.md",
    skip: installed("etcd") ? await whyNoApis() : "etcd is not installed",
    file: "etcd.yaml",
    port: 2379,
    start(port, spare, folder) {
      mkdirSync(join(folder, "etcd"));
      symlinkSync(moduleFolder("go.etcd.io/etcd/api/v3"), join(folder, "etcd/api"));
      const client = `http://127.0.0.1:${port}`;
      const peer = `http://127.0.0.1:${spare}`;
      return {
        command: "etcd",
        args: [
          ...["--data-dir", join(folder, "data"), "--log-level", "error"],
          ...["--listen-client-urls", client, "--advertise-client-urls", client],
          ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
          ...["--initial-cluster", `default=${peer}`],
        ],
      };
    },
    captures: {},
    varying: [[/"(cluster_id|member_id|raft_term|ID)":"\d+"/g, '"$1":"…"']],
  },
  {
    page: "docs/guides/openfga.md",
    skip: process.env.OPENFGA === undefined ? "OPENFGA does not name a binary of OpenFGA" : undefined,
    file: "openfga.yaml",
    port: 8081,
    start: (port, spare) => ({
      command: process.env.OPENFGA ?? "",
      args: [
        "run",
        ...["--grpc-addr", `127.0.0.1:${port}`, "--http-addr", `127.0.0.1:${spare}`],
        ...["--playground-enabled=false", "--metrics-enabled=false", "--log-level=error"],
      ],
    }),
    captures: { STORE: /"id":"(\w+)"/ },
    varying: [
      [/"(id|authorization_model_id)":"\w{26}"/g, '"$1":"…"'],
      [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "(time)"],
    ],
  },
];

for (const guide of guides) {
  const page = new Page(guide.page);
  describe(guide.page, { skip: guide.skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), "protogate-guide-"));
    const variables: Record<string, string> = {};
    const [main = "", ...more] = page.blocks("yaml");
    let stop: () => Promise<unknown>;
    let gateway: Gateway;
    let port = 0;

    before(async () => {
      const [free, spare] = await freePorts(2);
      port = free as number;
      const { command, args } = guide.start(port, spare as number, folder);
      const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
      const exited = once(child, "exit");
      stop = () => {
        child.kill();
        return exited.catch(() => undefined);
      };
      await untilAccepts(port, exited);
      const file = join(folder, guide.file);
      writeFileSync(file, here(main).replace("127.0.0.1:8080", "127.0.0.1:0"));
      gateway = await startGateway(file, { env: {}, logTo: { write: () => undefined } });
    });
    after(async () => {
      await gateway?.close();
      await stop?.();
      rmSync(folder, { recursive: true });
    });

    it("the configuration passes check", async () => {
      assertPasses(await check(here(main)));
    });

    for (const [index, fragment] of more.entries())
      it(`fragment ${index + 1} (${Object.keys(parse(fragment)).join(", ")}) passes check within the configuration`, async () => {
        const merged = merge(parse(here(main)), parse(here(fragment)));
        assertPasses(await check(stringify(merged)));
      });

    for (const { command, output: expected } of page.sessions())
      it(`responds as the page says to ${command}`, async () => {
        const output = await bash(command.replaceAll("localhost:8080", `127.0.0.1:${gateway.httpPort}`));
        for (const [name, pattern] of Object.entries(guide.captures))
          variables[name] ??= pattern.exec(output)?.[1] as string;
        assert.equal(masked(output), masked(expected));
      });

    /** The configuration against the port of this run. */
    function here(yaml: string): string {
      return yaml.replaceAll(`127.0.0.1:${guide.port}`, `127.0.0.1:${port}`);
    }

    function check(yaml: string): Promise<string> {
      writeFileSync(join(folder, "checked.yaml"), yaml);
      return bash(
        `node ${scriptArguments("src/main.ts").join(" ")} check -c ${join(folder, "checked.yaml")} 2>&1`,
      );
    }

    function bash(command: string): Promise<string> {
      const env = { ...process.env, ...variables };
      return new Promise(done => {
        execFile("bash", ["-c", command], { cwd: root, env }, (_error, stdout) => done(stdout.trimEnd()));
      });
    }

    function masked(text: string): string {
      return guide.varying.reduce((known, [pattern, mask]) => known.replace(pattern, mask), text);
    }
  });
}

function assertPasses(output: string): void {
  assert.match(output, /^\S+: ok, \d+ routes$/);
}

/** Mappings are merged, elements of `services` by position; anything else is the fragment's. */
function merge(base: unknown, fragment: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(fragment))
    return fragment.map((each, index) => merge(base[index], each));
  if (!isMapping(base) || !isMapping(fragment)) return fragment ?? base;
  const keys = new Set([...Object.keys(base), ...Object.keys(fragment)]);
  return Object.fromEntries([...keys].map(key => [key, merge(base[key], fragment[key])]));
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function installed(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
