import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, it } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { documentOf } from "./document-of.js";
import { type Schema, SchemaValues } from "./schema-values.js";

const config = resolve(import.meta.dirname, "../../config");
const files = [
  "gateway.yaml",
  ...readdirSync(join(config, "examples"))
    .filter(name => name.endsWith(".yaml"))
    .map(name => join("examples", name)),
];

for (const file of files)
  describe(`the OpenAPI document of config/${file}`, () => {
    it("satisfies the schema of OpenAPI 3.1 and has no finding of a linter", async () => {
      const text = await documentOf(join(config, file));
      assert.deepEqual(await findings(text), []);
    });

    it(`the OpenAPI document of config/${file} has examples of requests and of successes that their schemas allow`, async () => {
      const { count, wrong } = examplesOf(JSON.parse(await documentOf(join(config, file))));
      assert.deepEqual(wrong, []);
      assert.ok(count > (file === "gateway.yaml" ? 40 : -1), String(count));
    });

    it(`the OpenAPI document of config/${file} is the same to the byte when it is made again`, async () => {
      const [one, other] = [await documentOf(join(config, file)), await documentOf(join(config, file))];
      assert.equal(one, other);
    });
  });

describe("the OpenAPI document of real APIs", () => {
  const protos = resolve(import.meta.dirname, "../../node_modules/google-proto-files");
  const folder = mkdtempSync(join(tmpdir(), "protogate-openapi-"));
  after(() => rmSync(folder, { recursive: true }));

  for (const name of ["pubsub/v1", "firestore/v1", "longrunning"])
    it(`google/${name} satisfies the schema of OpenAPI 3.1 and has no finding of a linter`, async () => {
      const file = join(folder, "gateway.yaml");
      writeFileSync(
        file,
        `listeners: { http: { address: ":0" } }
descriptors: [{ protos: ${join(protos, "google", name)}, include: [${protos}] }]
upstreams: { google: { targets: ["127.0.0.1:1"] } }
services: [{ service: google.**, upstream: google }]
`,
      );
      const text = await documentOf(file);
      assert.ok(Object.keys(JSON.parse(text).components.schemas).length > 4);
      assert.deepEqual(await findings(text), []);
      const { count, wrong } = examplesOf(JSON.parse(text));
      assert.deepEqual(wrong, []);
      assert.ok(count > 0);
    });
});

/** How many examples there are of bodies and parameters, and those that their schemas forbid. */
function examplesOf(document: Schema): { readonly count: number; readonly wrong: readonly string[] } {
  const values = new SchemaValues(document);
  const wrong: string[] = [];
  let count = 0;
  const visit = (node: unknown, at: string): void => {
    if (typeof node !== "object" || node === null) return;
    if ("schema" in node && "example" in node) {
      count++;
      if (!values.allows(node.schema as Schema, node.example))
        wrong.push(`${at} ${JSON.stringify(node.example)}`);
    }
    for (const [name, child] of Object.entries(node)) if (name !== "example") visit(child, `${at}/${name}`);
  };
  visit(document.paths, "");
  return { count, wrong };
}

/** What the validator and the linter say, one line each. */
async function findings(text: string): Promise<string[]> {
  const document = JSON.parse(text);
  const { valid, errors } = await new Validator().validate(document);
  const rules = await createConfig({ extends: ["recommended-strict"], rules: rulesOff });
  const problems = await lintFromString({ source: text, absoluteRef: "/openapi.json", config: rules });
  return [
    ...(valid ? [] : [JSON.stringify(errors)]),
    ...problems.map(
      ({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer ?? ""})`,
    ),
  ];
}

/** The gateway does not know the license of an API, and OpenIM's errors are 200. */
const rulesOff = {
  "info-license": "off",
  "operation-4xx-response": "off",
  // It does not look into anyOf; whether our schemas allow our examples is a test of its own.
  "no-invalid-media-type-examples": { severity: "error", allowAdditionalProperties: true },
} as const;
