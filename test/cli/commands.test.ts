import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { compiledMain } from "../compile.js";
import { root } from "../node-script.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

/** The command line, compiled: a hundred runs through tsx would load it a hundred times slower. */
const main = compiledMain();

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(...args: string[]): Promise<Outcome> {
  return new Promise(done => {
    execFile(process.execPath, [main, ...args], { cwd: root }, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

describe("check", () => {
  it("check prints ok and exits 0 for a configuration without problems", async () => {
    const { code, out } = await run("check", "-c", "config/examples/killrchat.yaml");
    assert.equal(out, "config/examples/killrchat.yaml: ok, 12 routes\n");
    assert.equal(code, 0);
  });

  it("check reports every problem with its position and exits 1", async () => {
    const file = join(folder, "bad.yaml");
    writeFileSync(
      file,
      `listeners:
  http: { address: nowhere }
upstreams:
  a: { target: ["127.0.0.1:1"], timeout: 5 s }
services:
  - { service: x.Y, upstream: b }
`,
    );
    const { code, out } = await run("check", "-c", file);
    assert.equal(code, 1);
    const lines = out.trimEnd().split("\n");
    assert.equal(lines.at(-1), `${file}: ${lines.length - 1} errors`);
    for (const place of ["2:20", "4:8", "4:42", "6:31"]) {
      assert.ok(
        lines.some(line => line.startsWith(`${file}:${place}: error: `)),
        `${place} in\n${out}`,
      );
    }
    assert.match(out, /did you mean "targets"\?/);
  });

  it("check --json reports the same as JSON", async () => {
    const file = join(folder, "unknown-service.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ${root}/protos/demo }]
upstreams: { a: { targets: ["127.0.0.1:1"] } }
services: [{ service: killrchat.v1.UserServce, upstream: a }]
`,
    );
    const { code, out } = await run("check", "-c", file, "--json");
    assert.equal(code, 1);
    assert.deepEqual(JSON.parse(out), {
      ok: false,
      routes: 0,
      diagnostics: [
        {
          severity: "error",
          message: 'the descriptors have no service "killrchat.v1.UserServce"',
          position: { file, line: 4, column: 23 },
          path: "services[0].service",
          suggestion: "killrchat.v1.UserService",
        },
      ],
    });
  });

  it("check lists the services of the descriptors if none is exposed", async () => {
    const file = join(folder, "no-service.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 } }\ndescriptors: [{ protos: ${root}/protos/openim }]\n`,
    );
    const { code, out } = await run("check", "-c", file);
    assert.equal(code, 0);
    assert.match(
      out,
      /warning: no service is exposed; the descriptors have openim\.admin\.admin, openim\.chat\.chat \(at services\)\n.*: ok, 0 routes, 1 warning\n$/,
    );
  });

  it("check names an upstream whose reflection does not respond", async () => {
    const file = join(folder, "reflection.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ reflection: a }]
upstreams: { a: { targets: ["127.0.0.1:1"] } }
services: [{ service: x.Y, upstream: a }]
`,
    );
    const { code, out } = await run("check", "-c", file);
    assert.equal(code, 1);
    assert.match(out, /2:29: error: upstream "a" cannot be reflected: .*\(at descriptors\[0\]\.reflection\)/);
  });
});

describe("check --strict", () => {
  it("check --strict exits 1 for a warning, as text and as JSON", async () => {
    const file = join(folder, "warned.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: "127.0.0.1:0" } }
upstreams: { a: { targets: ["127.0.0.1:1"] } }
services: [{ service: chat.v1.Rooms, upstream: a, bindings: [annotations] }]
descriptors: [{ protos: "." }]
`,
    );
    writeFileSync(
      join(folder, "warned.proto"),
      'syntax = "proto3"; package chat.v1; message M {} service Rooms { rpc Join(M) returns (M); }',
    );
    const lax = await run("check", "-c", file);
    assert.equal(lax.code, 0, lax.out + lax.err);
    assert.match(lax.out, /ok, 0 routes, 1 warning\n$/);
    const strict = await run("check", "--strict", "-c", file);
    assert.equal(strict.code, 1);
    assert.match(strict.out, /refused by --strict, 0 routes, 1 warning\n$/);
    const json = await run("check", "--strict", "--json", "-c", file);
    assert.equal(json.code, 1);
    assert.equal(JSON.parse(json.out).ok, false);
  });

  it("check --strict exits 0 for a configuration without problems", async () => {
    const { code, out } = await run("check", "--strict", "-c", "config/examples/killrchat.yaml");
    assert.equal(code, 0, out);
  });
});

describe("routes", () => {
  it("routes lists method, template, rpc, upstream and source", async () => {
    const { code, out } = await run("routes", "-c", "config/examples/blog.yaml");
    assert.equal(code, 0);
    const [head, first] = out.split("\n");
    assert.match(head ?? "", /^METHOD +TEMPLATE +RPC +UPSTREAM +SOURCE$/);
    assert.match(
      first ?? "",
      /^GET +\/v1\/articles +product\.app\.v1\.BlogService\.GetArticles +blog +annotation$/,
    );
  });

  it("routes --json lists the routes as JSON", async () => {
    const { out } = await run("routes", "-c", "config/examples/blog.yaml", "--json");
    assert.deepEqual(JSON.parse(out)[0], {
      method: "GET",
      template: "/v1/articles",
      rpc: "product.app.v1.BlogService.GetArticles",
      upstream: "blog",
      source: "annotation",
      body: "",
      response_body: "",
    });
  });
});

describe("explain", () => {
  const explain = (...args: string[]) => run("explain", "-c", "config/gateway.yaml", ...args);

  it("explain shows which literal beats which variable, and why the others lost", async () => {
    const { code, out } = await explain("PATCH", "/rooms/participant", "--json");
    const explanation = JSON.parse(out);
    assert.equal(code, 0);
    assert.equal(explanation.route.rpc, "killrchat.v1.RoomService.LeaveRoom");
    assert.deepEqual(explanation.others[0], {
      method: "PATCH",
      template: "/rooms/{room_name}",
      reason: "lost to a more specific template, PATCH /rooms/participant",
    });
  });

  it("explain shows 404 and 405 and exits 1", async () => {
    const lost = await explain("GET", "/nowhere");
    assert.deepEqual([lost.code, lost.out], [1, "GET /nowhere is 404: no route matches\n"]);
    const wrong = await explain("DELETE", "/rooms/participant");
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.out,
      /^DELETE \/rooms\/participant is 405: the path allows GET, HEAD, OPTIONS, PATCH, POST, PUT\n/,
    );
  });

  it("explain accepts a whole URL", async () => {
    const { code, out } = await explain("GET", "http://localhost:8080/rooms/Dallas");
    assert.equal(code, 0);
    assert.match(out, /^GET \/rooms\/Dallas is served by GET \/rooms\/\{room_name\}\n/);
  });

  it("explain shows why a request is refused", async () => {
    const { code, out } = await explain("GET", "/v1/messages/1?message_id=2");
    assert.equal(code, 1);
    assert.match(out, /refused with 400 FIELD_COLLISION: message_id: the path binds this field/);
  });
});

describe("explain and check on routes that are refused", () => {
  const file = join(folder, "refusing.yaml");
  const protos = join(folder, "refusing");
  const explain = async (method: string, path: string) => {
    const { code, out } = await run("explain", "-c", file, method, path, "--json");
    return { code, explanation: JSON.parse(out) };
  };

  before(() => {
    mkdirSync(protos);
    writeFileSync(
      join(protos, "a.proto"),
      `syntax = "proto3"; package a; import "google/api/annotations.proto"; message M { string id = 1; }
service S {
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/m/{id}" body: "*" }; }
  rpc Watch(M) returns (stream M) { option (google.api.http) = { get: "/watch/{id}" }; }
  rpc Send(stream M) returns (M) { option (google.api.http) = { post: "/send" body: "*" }; }
}`,
    );
    writeFileSync(
      file,
      `listeners: { http: { address: ":0" } }
descriptors: [{ protos: ./refusing }]
upstreams: { a: { targets: ["127.0.0.1:1"] }, old: { protocol: http, targets: ["http://127.0.0.1:1"] } }
services: [{ service: a.S, upstream: a, auth: [users], rate_limit: all, limits: { body: 2KiB } }]
rate_limits: { all: { requests: 1, per: 1s, key: ip } }
auth:
  providers: { users: { type: jwt, secret: "0123456789012345678901234567890123", algorithms: [HS256] } }
  policies: [{ match: { rpc: a.S/Put }, require: { scopes: [write] } }]
http: { proxy: [{ prefix: /old, upstream: old, auth: [users] }] }
`,
    );
  });

  it("explain lists what a request can still be refused for, in the order of the decisions", async () => {
    const { code, explanation } = await explain("PUT", "/m/1");
    assert.deepEqual([code, explanation.refused], [0, undefined]);
    assert.deepEqual(
      explanation.conditions.map(
        ({ status, reason, when }: Record<string, unknown>) => `${status} ${reason}: ${when}`,
      ),
      [
        "429 RATE_LIMITED: the limit all is exceeded",
        "401 CREDENTIALS_MISSING: no credentials that users accepts",
        "403 POLICY_DENIED: a policy under auth.policies refuses the caller",
        "415 UNSUPPORTED_MEDIA_TYPE: the body has a content-type other than application/json",
        "413 BODY_TOO_LARGE: the body is larger than 2048 bytes",
      ],
    );
  });

  it("explain shows where the values of a stream's first request come from", async () => {
    const { code, explanation } = await explain("GET", "/watch/1");
    assert.equal(code, 0);
    assert.equal(explanation.refused, undefined);
    assert.deepEqual(explanation.request, { id: "1" });
  });

  it("explain shows who may use a prefix of http.proxy", async () => {
    const { explanation } = await explain("GET", "/old/x");
    assert.deepEqual(
      explanation.conditions.map(({ status }: { status: number }) => status),
      [401],
    );
  });
});

describe("a command line that is wrong", () => {
  const mistakes: readonly (readonly [args: string[], says: RegExp])[] = [
    [[], /^Protogate \d/],
    [["srve"], /unknown command "srve"; did you mean "serve"\?/],
    [
      ["check"],
      /^protogate check: expected a configuration, -c FILE\nusage: protogate check -c FILE \[--json\] \[--strict\]\n$/,
    ],
    [["check", "gateway.yaml"], /found gateway\.yaml; did you mean -c gateway\.yaml\?/],
    [["check", "-c"], /expected a file after -c/],
    [["check", "-c", ""], /expected a configuration/],
    [["check", "-c=x"], /did you mean -c x\?/],
    [["check", "-c", "x", "-c", ""], /expected a configuration/],
    [["check", "-c", "x", "--set"], /expected PATH=VALUE after --set/],
    [["check", "-c", "x", "--json=yes"], /--json takes no value/],
    [["routes", "-c", "x", "--jsn"], /did you mean --json\?/],
    [["serve", "-c", "x", "--json"], /unknown option --json/],
    [["schema", "x"], /expected no further argument, found x\nusage: protogate schema\n$/],
    [["demo", "--json"], /unknown option --json/],
    [["explain", "-c", "x", "GET"], /expected METHOD 'PATH\?QUERY', found GET/],
    [["explain", "-c", "config/gateway.yaml", "GET", "x"], /the path must begin with "\/"/],
  ];
  for (const [args, says] of mistakes) {
    it(`exits 2 and helps: ${args.join(" ") || "nothing"}`, async () => {
      const { code, out, err } = await run(...args);
      assert.equal(code, 2);
      assert.match(err || out, says);
    });
  }

  for (const args of [["--help"], ["help"], ["check", "--help"], ["check", "-h"], ["help", "check"]]) {
    it(`a command line that is wrong prints how to call it: ${args.join(" ")}`, async () => {
      const { code, out, err } = await run(...args);
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, /protogate check {3}-c FILE \[--json\] \[--strict\]/);
    });
  }

  it("a reader that closes the pipe early is not an error (exit 0, nothing on stderr)", async () => {
    const child = spawn(process.execPath, [main, "schema"], { cwd: root });
    let errors = "";
    child.stderr.on("data", chunk => {
      errors += chunk;
    });
    const closed = once(child, "close");
    child.stdout.destroy();
    assert.deepEqual(await closed, [0, null]);
    assert.equal(errors, "");
  });

  it("serve exits 1 with the problems where the configuration is wrong", async () => {
    const { code, err } = await run("serve", "-c", join(folder, "none.yaml"));
    assert.equal(code, 1);
    assert.match(err, /none\.yaml: error: the configuration does not exist/);
  });
});

describe("a configuration of several files and settings", () => {
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const base = write(
    "base.yaml",
    `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ${root}/protos/demo }]
upstreams: { a: { targets: ["127.0.0.1:1"] } }
services: [{ service: killrchat.v1.UserService, upstream: a }]
`,
  );
  const over = write("over.yaml", "upstreams: { a: { timeout: 7s } }\n");
  const args = ["-c", base, "-c", over, "--set", "services[0].prefix=/v9"];

  it("check, routes, explain and openapi take further files and --set", async () => {
    const [checked, routes, explained, documents] = await Promise.all([
      run("check", ...args),
      run("routes", ...args),
      run("explain", ...args, "GET", "/v9/nope"),
      run("openapi", ...args),
    ]);
    assert.equal(checked.out, `${base}, ${over}: ok, 2 routes\n`);
    assert.match(routes.out, /\/v9\//);
    assert.match(explained.out, /404/);
    assert.match(documents.out, /"\/v9\//);
  });

  it("check names the file, or the setting, that a value comes from", async () => {
    const bad = write("bad-over.yaml", "upstreams:\n  a: { timeout: 7x }\n");
    const { code, out } = await run("check", "-c", base, "-c", bad, "--set", "server.drian=1s");
    assert.equal(code, 1);
    const [first, second] = out.split("\n");
    assert.match(first ?? "", new RegExp(`^${bad}:2:17: error: expected a duration`));
    assert.match(second ?? "", /^--set server\.drian: error: unknown key "drian".*did you mean "drain"/);
  });
});

describe("serve and demo", () => {
  /** Starts the demo on free ports and waits until it says that it runs. */
  async function startDemo(
    ...args: string[]
  ): Promise<{ child: ChildProcess; url: string; exit: Promise<number | null> }> {
    const child = spawn(process.execPath, [main, "demo", ...args], {
      cwd: root,
      env: { ...process.env, HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = new Promise<number | null>(done => child.once("exit", code => done(code)));
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /REST +(\S+)$/.exec(line)?.[1];
      if (url !== undefined) {
        child.stdout.resume();
        return { child, url, exit };
      }
    }
    throw new Error("the demo ended before it was ready");
  }

  it("demo -c runs an example with the backend of the demo", async () => {
    const { child, url, exit } = await startDemo("-c", "config/examples/blog.yaml");
    assert.equal((await fetch(`${url}/v1/articles`)).status, 200);
    assert.equal((await fetch(`${url}/demo`)).status, 404);
    child.kill("SIGTERM");
    assert.equal(await exit, 0);
  });

  it("a process that has nearly used up its file descriptors logs it and is not ready until some are closed", {
    skip: platform() === "linux" ? false : "descriptors are counted on Linux",
  }, async () => {
    const limit = 256;
    const child = spawn(
      "sh",
      [
        "-c",
        `ulimit -n ${limit}; exec "$@"`,
        "sh",
        process.execPath,
        main,
        "demo",
        "-c",
        "config/examples/blog.yaml",
      ],
      {
        cwd: root,
        env: { ...process.env, HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const { value, done } = await lines.next();
        assert.ok(done !== true, `the process ended without a line ${pattern}`);
        const found = pattern.exec(value)?.[1];
        if (found !== undefined) return found;
      }
    };
    const http = new URL(await line(/REST +(\S+)$/));
    const admin = await line(/admin +(\S+)$/);
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);
    const used = readdirSync(`/proc/${child.pid}/fd`).length;
    const sockets = Array.from({ length: limit - used - 8 }, () => connect(Number(http.port), http.hostname));
    assert.match(await line(/"msg":"(file descriptors.*?)"/), /^file descriptors are used up: /);
    const ready = await fetch(`${admin}/readyz`);
    assert.equal(ready.status, 503);
    assert.deepEqual(
      ((await ready.json()) as { checks: Record<string, unknown> }).checks["file descriptors"],
      {
        ok: false,
        message: `nearly all ${limit} are used`,
      },
    );
    for (const socket of sockets) socket.destroy();
    await line(/"msg":"(file descriptors are available again)"/);
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
  });

  it("a signal that comes twice at once, as from Ctrl-C under npm, drains", async () => {
    const { child, exit } = await startDemo();
    // Two of one kind might reach the process as one.
    child.kill("SIGINT");
    child.kill("SIGTERM");
    assert.equal(await exit, 0);
  });

  it("serve responds to requests, reloads on SIGHUP, drains on SIGTERM and exits 0", async () => {
    const { child, url, exit } = await startDemo();
    child.kill("SIGHUP");
    assert.equal((await fetch(`${url}/v1/articles`)).status, 200);
    child.kill("SIGTERM");
    assert.equal(await exit, 0);
  });
});

describe("api-key", () => {
  it("api-key makes a random key and its entry for a key file", async () => {
    const first = await run("api-key", "acme");
    const second = await run("api-key", "acme");
    assert.deepEqual([first.code, second.code], [0, 0]);
    const [, key = "", hash] =
      /: +(\S+)\n.*- \{ hash: "sha256:([0-9a-f]{64})", subject: "acme" \}\n$/.exec(first.out) ?? [];
    assert.match(key, /^[A-Za-z0-9_-]{32}$/);
    assert.equal(createHash("sha256").update(key).digest("hex"), hash);
    assert.ok(!second.out.includes(key));
  });

  it("api-key requires a subject", async () => {
    const { code, err } = await run("api-key");
    assert.equal(
      err,
      "protogate api-key: expected SUBJECT, found nothing\nusage: protogate api-key SUBJECT\n",
    );
    assert.equal(code, 2);
  });
});
