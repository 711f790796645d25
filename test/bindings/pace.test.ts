import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { compileRoutes, routerOf } from "../../src/bindings/route-table.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { loadConfig } from "../../src/gateway/config.js";
import { type Pace, unitsPerTurn } from "../../src/net/pace.js";

const services = 4;
const methodsPerService = 5_000;
const routeCount = services * methodsPerService;

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

const serviceText = (index: number): string =>
  `service S${index} {\n${Array.from(
    { length: methodsPerService },
    (_, method) =>
      `rpc Get${method}(M) returns (M) { option (google.api.http) = { get: "/s${index}/m${method}/{id}" }; }`,
  ).join("\n")}\n}\n`;

mkdirSync(join(folder, "protos"));
writeFileSync(
  join(folder, "protos/t.proto"),
  `syntax = "proto3"; package t; import "google/api/annotations.proto"; message M { string id = 1; }
${Array.from({ length: services }, (_, index) => serviceText(index)).join("")}`,
);
writeFileSync(
  join(folder, "gateway.yaml"),
  `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ./protos }]
upstreams: { u: { targets: ["127.0.0.1:1"] } }
services: [{ service: "t.**", upstream: u }]
`,
);

/** Records how many units each turn of the event loop was given. */
class RecordingPace implements Pace {
  readonly turns: number[] = [];
  #units = 0;

  spent(units: number): boolean {
    this.#units += units;
    return this.#units >= unitsPerTurn;
  }

  async nextTurn(): Promise<void> {
    this.turns.push(this.#units);
    this.#units = 0;
  }
}

/** What one step may add after its turn is full. */
const maxStep = 100;

function assertPaced({ turns }: RecordingPace, minUnits: number): void {
  const total = turns.reduce((sum, units) => sum + units, 0);
  assert.ok(total >= minUnits, `only ${total} units were counted`);
  assert.ok(Math.max(...turns) < unitsPerTurn + maxStep, `a turn had ${Math.max(...turns)} units`);
}

test("20,000 routes are compiled and put into a router in turns of bounded work", async () => {
  const { config, locate } = loadConfig(join(folder, "gateway.yaml"), {});
  assert.ok(config !== undefined);
  const { model } = await loadModel([{ kind: "protos", folder: join(folder, "protos"), include: [] }]);

  const compiling = new RecordingPace();
  const { routes, diagnostics } = await compileRoutes(config, model, locate, compiling);
  assert.deepEqual(diagnostics, []);
  assert.equal(routes.length, routeCount);
  assertPaced(compiling, routeCount * 100);

  const binding = new RecordingPace();
  const router = await routerOf(routes, route => route, binding);
  assert.equal(router.match("GET", "/s3/m4999/x").kind, "found");
  assertPaced(binding, routeCount * 25);
});
