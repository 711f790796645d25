import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { root } from "../node-script.js";
import { execForm, readDockerfile, type Stage } from "./dockerfile.js";

const stages = readDockerfile(join(root, "Dockerfile"));
const image = stages.at(-1) as Stage;

/** What every image by Debian has, and this one needs of the machine that runs the test. */
const systemFolders = ["usr", "lib", "lib64", "bin"].filter(name => existsSync(`/${name}`));

describe("the Dockerfile", () => {
  it("the Dockerfile builds on Node.js 22 and glibc in every stage", () => {
    for (const { base } of stages) assert.equal(base, "node:22-bookworm-slim");
  });

  it("the Dockerfile runs as a user who is not root, named by number", () => {
    const user = image.instructions.find(({ name }) => name === "USER")?.rest ?? "";
    assert.match(user, /^[1-9]\d+:[1-9]\d+$/);
  });

  it("the Dockerfile copies only what exists and .dockerignore lets in", () => {
    const ignored = readFileSync(join(root, ".dockerignore"), "utf8").trim().split("\n");
    for (const stage of stages)
      for (const { from, sources } of copies(stage))
        if (from === undefined)
          for (const source of sources) {
            assert.ok(existsSync(join(root, source)), source);
            assert.ok(!ignored.includes(source), source);
          }
  });
});

describe("the image, made by the steps of the Dockerfile", { skip: whyNoImage() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-image-"));
  const rootOf = (stage: string | undefined): string => join(folder, stage ?? "image");
  const started: ChildProcess[] = [];

  before(() => {
    for (const stage of stages) buildStage(stage);
    layOutRoot();
  });
  after(async () => {
    for (const child of started)
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    rmSync(folder, { recursive: true, force: true });
  });

  it("the image has no packages that only development needs, and one addon of uWebSockets.js at most", () => {
    const modules = join(rootOf(undefined), "app/node_modules");
    for (const name of ["typescript", "tsx", "@biomejs", "playwright-core"])
      assert.ok(!existsSync(join(modules, name)), name);
    const addons = readdirSync(join(modules, "uWebSockets.js"), { recursive: true, encoding: "utf8" });
    assert.ok(addons.filter(name => name.endsWith(".node")).length <= 1);
  });

  it("the image is smaller than 100 MiB beyond its base", () => {
    const app = join(rootOf(undefined), "app");
    const kib = Number(execFileSync("du", ["-sk", app]).toString().split("\t")[0]);
    assert.ok(kib < 100 * 1024, `${kib} KiB`);
  });

  for (const engine of ["fastify", "uws"])
    it(`the image serves with the engine ${engine} as user 65532 on a root file system that is read-only and has no /tmp, and drains on SIGTERM`, async t => {
      writeFileSync(
        join(rootOf(undefined), "etc/protogate/gateway.yaml"),
        `listeners: { http: { address: "127.0.0.1:0", engine: ${engine} }, admin: { address: "127.0.0.1:0" } }
descriptors: [{ protos: /app/protos/demo }]
http: { docs: { path: /docs, openapi: /openapi.json, auth: none } }
`,
      );
      const child = run([...execForm(image, "ENTRYPOINT"), ...execForm(image, "CMD")]);
      let errors = "";
      child.stderr?.on("data", (data: Buffer) => {
        errors += data;
      });
      const ended = once(child, "exit");
      const ready = await firstLine(child, line => line.msg === "ready");
      if (ready === undefined && engine === "uws" && /addon/.test(errors)) return t.skip(errors.trim());
      assert.ok(ready !== undefined, errors);
      const response = await fetch(`http://127.0.0.1:${ready.http}/openapi.json`);
      assert.equal(response.status, 200);
      await response.arrayBuffer();
      assert.deepEqual(await healthCheck(ready.admin), [0, null]);
      child.kill("SIGTERM");
      assert.deepEqual(await ended, [0, null]);
      assert.deepEqual(await healthCheck(ready.admin), [1, null]);
    });

  it("the image cannot write anywhere in its root file system", async () => {
    const script = `try { require("fs").writeFileSync(process.argv[1], "") } catch (error) { console.log(JSON.stringify({ code: error.code, uid: process.getuid() })) }`;
    for (const path of ["/app/x", "/app/config/gateway.yaml", "/etc/protogate/x", "/x"]) {
      const line = await firstLine(run(["node", "-e", script, path]), () => true);
      assert.ok(["EROFS", "EACCES"].includes(String(line?.code)), `${path}: ${JSON.stringify(line)}`);
      assert.equal(line?.uid, 65532);
    }
  });

  it("the image has what the demo needs", async () => {
    const child = run([...execForm(image, "ENTRYPOINT"), "check", "-c", "config/gateway.yaml"]);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  function buildStage(stage: Stage): void {
    const app = join(rootOf(stage.name), "app");
    mkdirSync(app, { recursive: true });
    for (const { name, rest } of stage.instructions) {
      if (name === "COPY") copy(stage, rest);
      // What is installed here has been installed by the same command.
      else if (name === "RUN" && rest === "npm ci --ignore-scripts")
        symlinkSync(join(root, "node_modules"), join(app, "node_modules"));
      else if (name === "RUN")
        execFileSync("sh", ["-c", rest], {
          cwd: app,
          env: { ...process.env, NODE_V8_COVERAGE: "", npm_config_prefer_offline: "true" },
          stdio: "pipe",
        });
    }
  }

  function copy(stage: Stage, rest: string): void {
    const { from, sources, target } = readCopy(rest);
    const app = join(rootOf(stage.name), "app");
    for (const source of sources) {
      const to = target.endsWith("/") ? join(app, target, basename(source)) : join(app, target);
      // Nothing else takes from a stage.
      if (from !== undefined) renameSync(join(rootOf(from), source), to);
      else cpSync(join(root, source), to, { recursive: true, verbatimSymlinks: true });
    }
  }

  /** What a container has beside the layers: the base image, what the runtime mounts, and the configuration. */
  function layOutRoot(): void {
    const at = rootOf(undefined);
    for (const name of [...systemFolders, "node", "dev", "proc"]) mkdirSync(join(at, name));
    mkdirSync(join(at, "etc/protogate"), { recursive: true });
    for (const name of ["passwd", "group", "hosts"])
      if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(at, "etc", name));
  }

  /** Runs a command in the image, as its user, with mounts of its own that end with it. */
  function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const at = rootOf(undefined);
    const mounts = [
      ...systemFolders.map(name => `mount --rbind -r /${name} ${at}/${name}`),
      `mount --bind -r ${dirname(process.execPath)} ${at}/node`,
      `mount --rbind /dev ${at}/dev`,
      `mount -t proc proc ${at}/proc || mount --rbind /proc ${at}/proc`,
    ];
    const user = image.instructions.find(({ name }) => name === "USER")?.rest ?? "";
    const script = [
      `mount --bind ${at} ${at}`,
      // From inside the new mount, what is mounted below it is seen.
      `cd ${at}`,
      ...mounts,
      `mount -o remount,bind,ro ${at}`,
      `exec chroot --groups= --userspec=${user} ${at} /usr/bin/env -C /app "$@"`,
    ].join("\n");
    const child = spawn("unshare", ["--mount", "sh", "-ec", script, "sh", ...command], {
      env: { ...env, ...environment(), PATH: "/node:/usr/sbin:/usr/bin:/sbin:/bin" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.push(child);
    return child;
  }

  async function healthCheck(port: unknown): Promise<unknown> {
    return once(run(execForm(image, "HEALTHCHECK"), { ADMIN_PORT: String(port) }), "exit");
  }
});

function environment(): Record<string, string> {
  return Object.fromEntries(
    image.instructions
      .filter(({ name }) => name === "ENV")
      .map(({ rest }) => rest.split("=", 2) as [string, string]),
  );
}

/** The first line of its log that fits; undefined: it ended before. */
async function firstLine(
  child: ChildProcess,
  fits: (line: Readonly<Record<string, unknown>>) => boolean,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (child.stdout === null) throw new Error("without output");
  for await (const text of createInterface(child.stdout)) {
    const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (fits(line)) {
      child.stdout.resume();
      return line;
    }
  }
  return undefined;
}

function copies(stage: Stage): ReturnType<typeof readCopy>[] {
  return stage.instructions.filter(({ name }) => name === "COPY").map(({ rest }) => readCopy(rest));
}

function readCopy(rest: string): { from: string | undefined; sources: string[]; target: string } {
  const [, from, paths = ""] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
  const words = paths.split(" ");
  return { from, sources: words.slice(0, -1), target: words.at(-1) as string };
}

/** Why the steps cannot be run on this machine. */
function whyNoImage(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "needs root on Linux, for mounts of its own";
  if (spawnSync("unshare", ["--mount", "mount", "--bind", "/usr", "/usr"]).status !== 0)
    return "this machine allows no mount namespaces";
  const offline = spawnSync("npm", ["ping"], { stdio: "ignore" }).status !== 0;
  return offline ? "no package registry can be reached" : false;
}
