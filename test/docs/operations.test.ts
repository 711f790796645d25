import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { publishedSchema } from "../../src/config/json-schema.js";
import { ConfigSchema } from "../../src/gateway/config.js";
import { createRuntime } from "../../src/gateway/runtime.js";
import { poolMetrics } from "../../src/gateway/workers/worker-metrics.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { root } from "../node-script.js";
import { reference } from "./page.js";

const withoutPromtool = spawnSync("promtool", ["--version"]).status !== 0 && "promtool is not installed";

describe("config/alerts.yaml", () => {
  const file = join(root, "config/alerts.yaml");

  it("config/alerts.yaml uses only metrics that the gateway has", async () => {
    const telemetry = { log: { level: "silent" }, metrics: { buckets: [1] } } as const;
    const config = { telemetry } as unknown as Parameters<typeof createRuntime>[0];
    const { metrics } = createRuntime(config, createLogger("silent"));
    poolMetrics(metrics, () => 2);
    const served = await metrics.text();
    const { groups }: { groups: { rules: { expr: string }[] }[] } = parse(readFileSync(file, "utf8"));
    const rules = groups.flatMap(group => group.rules);
    for (const { expr } of rules)
      for (const name of expr.match(/(?<![:\w])protogate_\w+/g) ?? [])
        assert.ok(served.includes(` ${name.replace(/_bucket$/, "")} `), name);
    assert.ok(rules.length > 5);
  });

  it("config/alerts.yaml passes promtool check rules", { skip: withoutPromtool }, () => {
    execFileSync("promtool", ["check", "rules", file], { stdio: "pipe" });
  });
});

describe("config/kubernetes.yaml", () => {
  const [deployment, service] = parseAllDocuments(
    readFileSync(join(root, "config/kubernetes.yaml"), "utf8"),
  ).map(document => document.toJS());
  const pod = deployment.spec.template.spec;
  const [container] = pod.containers;

  it("probes the admin listener, which the service does not expose", () => {
    const { startupProbe, livenessProbe, readinessProbe } = container;
    const asked = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => Object.values(httpGet));
    assert.deepEqual(asked, [
      ["/livez", "admin"],
      ["/livez", "admin"],
      ["/readyz", "admin"],
    ]);
    assert.deepEqual(
      service.spec.ports.map((port: { targetPort: string }) => port.targetPort),
      ["http"],
    );
  });

  it("config/kubernetes.yaml has a grace period longer than draining takes", () => {
    const [, drain = ""] = /^(\d+)s$/.exec(String(defaultOf("server.drain"))) ?? [];
    const seconds = Number(container.lifecycle.preStop.exec.command[1]) + Number(drain);
    assert.ok(pod.terminationGracePeriodSeconds > seconds, String(seconds));
  });
});

describe("the defaults in docs/reference/limits.md are those of the configuration", () => {
  for (const [key = "", limit = ""] of reference("limits").tableRows("key", "default", "what it bounds"))
    it(`the default of ${key} in docs/reference/limits.md is ${limit}`, () => {
      assert.equal(limit, String(defaultOf(key.replaceAll("`", "").replace("<name>", "*"))));
    });
});

interface Node {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
}

/** The default of a key; `*` stands for a name of the user's. */
function defaultOf(path: string): unknown {
  let node = publishedSchema(ConfigSchema) as Node;
  for (const part of path.split(".")) {
    const next = part === "*" ? Object.values(node.patternProperties ?? {})[0] : node.properties?.[part];
    assert.ok(next !== undefined, `${path}: ${part}`);
    node = next;
  }
  return node.default;
}
