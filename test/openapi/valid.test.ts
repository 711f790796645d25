import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { documentOf } from "./document-of.js";

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

    it("is the same to the byte when it is made again", async () => {
      const [one, other] = [await documentOf(join(config, file)), await documentOf(join(config, file))];
      assert.equal(one, other);
    });
  });

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
const rulesOff = { "info-license": "off", "operation-4xx-response": "off" } as const;
