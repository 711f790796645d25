import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { parse } from "yaml";
import { type System, startSystem } from "../contracts/system.js";
import { root } from "../node-script.js";
import { freePort } from "../ports.js";

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly Panel[];
}

const folder = join(root, "config/grafana");
const dashboards = readdirSync(folder).map(
  name => [name, JSON.parse(readFileSync(join(folder, name), "utf8")) as Dashboard] as const,
);
const rulesFile = join(root, "config/alerts.yaml");
const groups: { rules: { alert?: string; record?: string; expr: string }[] }[] = parse(
  readFileSync(rulesFile, "utf8"),
).groups;
const rules = groups.flatMap(group => group.rules);

/** Every metric of docs/reference/metrics.md. */
const documented = [
  ...readFileSync(join(root, "docs/reference/metrics.md"), "utf8").matchAll(/^\| `(protogate_\w+)` \|/gm),
].map(([, name]) => name as string);

function metricsIn(expr: string): string[] {
  return (expr.match(/(?<![:\w])protogate_\w+/g) ?? []).map(name => name.replace(/_(bucket|sum|count)$/, ""));
}

for (const [name, { title, uid, panels, templating }] of dashboards) {
  it(`the dashboard ${name} has a title, variables, and panels with an id, a unit and a description that do not overlap`, () => {
    assert.match(title, /^Protogate: /);
    assert.equal(uid, `protogate-${name.replace(".json", "")}`);
    const variables = templating.list.map(variable => variable.name);
    assert.deepEqual(variables, ["datasource", "job", "instance"]);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const places = new Set<string>();
    for (const { title: panel, description, fieldConfig, gridPos, targets } of panels) {
      assert.match(description, /^[A-Z].*\.$/, panel);
      assert.match(fieldConfig.defaults.unit, /^\w+$/, panel);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, panel);
      for (const { expr } of targets) assert.match(expr, /job=~"\$job",instance=~"\$instance"/, panel);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const place = `${x} ${y}`;
          assert.ok(x < 24 && !places.has(place), `${panel} at ${place}`);
          places.add(place);
        }
      }
    }
  });
}

it("every metric of the gateway is in a panel, and panels and rules name no other", () => {
  const shown = dashboards.flatMap(([, { panels }]) =>
    panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr))),
  );
  const ruled = rules.flatMap(({ expr }) => metricsIn(expr));
  const known = new Set(documented);
  assert.deepEqual(
    [...shown, ...ruled].filter(name => !known.has(name)),
    [],
  );
  const seen = new Set(shown);
  assert.deepEqual(
    documented.filter(name => !seen.has(name)),
    [],
  );
});

const missing = ["prometheus", "promtool"].filter(name => spawnSync(name, ["--version"]).status !== 0);

it("alerts fire for the values that test/telemetry/alerts.yaml gives, and only then", {
  skip: missing.length > 0 && `${missing.join(" and ")} is not installed`,
}, () => {
  const file = join(root, "test/telemetry/alerts.yaml");
  const { status, stdout, stderr } = spawnSync("promtool", ["test", "rules", file], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});

describe("Prometheus that scrapes a loaded gateway", {
  skip: missing.length > 0 && `${missing.join(" and ")} is not installed`,
}, () => {
  const files = mkdtempSync(join(tmpdir(), "protogate-prometheus-"));
  let system: System;
  let prometheus: ReturnType<typeof spawn>;
  let socket: WebSocket;
  let url = "";
  let over = false;
  let load: Promise<void> = Promise.resolve();

  before(async () => {
    // Nobody takes the spans; what they are of has exemplars all the same.
    const log = "log: { level: info }";
    const traced = `${log}\n  tracing: { otlp: "http://127.0.0.1:1", sample: 1 }`;
    system = await startSystem(join(root, "config/gateway.yaml"), {
      change: yaml => yaml.replace(log, traced),
    });
    socket = new WebSocket(`ws://127.0.0.1:${system.httpPort}/ws`);
    await once(socket, "open");
    load = makeTraffic();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    writeFileSync(
      join(files, "prometheus.yml"),
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [${rulesFile}]
scrape_configs: [{ job_name: protogate, static_configs: [{ targets: ["127.0.0.1:${system.adminPort}"] }] }]
`,
    );
    prometheus = spawn(
      "prometheus",
      [
        `--config.file=${join(files, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(files, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--enable-feature=exemplar-storage",
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const lines = createInterface({ input: prometheus.stderr as NodeJS.ReadableStream });
    for await (const line of lines) if (line.includes("Server is ready")) break;
    prometheus.stderr?.resume();
    // Rates need a few scrapes.
    while (Number((await evaluate("count_over_time(protogate_build_info[1m])"))[0] ?? 0) < 5)
      await delay(200);
  });
  after(async () => {
    over = true;
    socket?.terminate();
    if (prometheus?.exitCode === null) {
      prometheus.kill("SIGKILL");
      await once(prometheus, "close");
    }
    await load;
    await system?.close();
    rmSync(files, { recursive: true });
  });

  /** Requests of each kind, until it is over. */
  async function makeTraffic(): Promise<void> {
    const frame = (type: string, more = {}): void =>
      socket.send(JSON.stringify({ type, room_id: "general", from: "ada", id: 1, ...more }));
    frame("join-room");
    const json = { "content-type": "application/json" };
    const events = { accept: "text/event-stream" };
    while (!over) {
      await system.send("GET", "/v1/messages/7");
      await system.send("GET", "/nowhere");
      await system.send("POST", "/account/login", { headers: json, body: "{}" });
      await system.send("POST", "/user/find/full", { headers: { ...json, token: "wrong" }, body: "{}" });
      await system.send("GET", "/chat/rooms/general/entries", { headers: events });
      if (socket.readyState === WebSocket.OPEN) frame("send-message", { message: "hello" });
      await delay(20);
    }
  }

  async function evaluate(query: string): Promise<string[]> {
    const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`);
    const { status, error, data } = (await response.json()) as {
      status: string;
      error?: string;
      data: { resultType: string; result: readonly { value: [number, string] }[] };
    };
    assert.equal(status, "success", `${query}: ${error}`);
    return data.result.map(({ value: [, text] }) => text);
  }

  for (const [name, { panels }] of dashboards) {
    it(`every query of the dashboard ${name} has values in Prometheus`, async () => {
      for (const { title, targets } of panels) {
        for (const { expr } of targets) {
          const query = expr
            .replaceAll("$job", "protogate")
            .replaceAll("$instance", ".*")
            .replaceAll("$__rate_interval", "1m");
          const values = await evaluate(query);
          assert.notDeepEqual(values, [], `${title}: ${query}`);
          assert.ok(
            values.some(value => value !== "NaN"),
            `${title}: ${query} is ${values}`,
          );
        }
      }
    });
  }

  it("latencies of requests and of calls have exemplars with the ids of traces", async () => {
    for (const metric of ["protogate_http_request_duration_seconds", "protogate_upstream_handling_seconds"]) {
      const now = Date.now() / 1000;
      const query = { query: `${metric}_bucket`, start: String(now - 600), end: String(now + 600) };
      const response = await fetch(`${url}/api/v1/query_exemplars?${new URLSearchParams(query)}`);
      const { data } = (await response.json()) as {
        data: readonly { exemplars: readonly { labels: Readonly<Record<string, string>> }[] }[];
      };
      const [exemplar] = data.flatMap(({ exemplars }) => exemplars);
      assert.match(String(exemplar?.labels.trace_id), /^[0-9a-f]{32}$/, metric);
    }
  });

  it("the rules of config/alerts.yaml are evaluated without error, and what they record has values", async () => {
    const response = await fetch(`${url}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const evaluated = data.groups.flatMap(group => group.rules);
    assert.equal(evaluated.length, rules.length);
    assert.deepEqual(
      evaluated.filter(({ health }) => health === "err"),
      [],
    );
    for (const { record } of rules)
      if (record !== undefined) assert.notDeepEqual(await evaluate(record), [], record);
  });
});
