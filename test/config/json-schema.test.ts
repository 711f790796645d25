import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { publishedSchema } from "../../src/config/json-schema.js";
import { ConfigSchema } from "../../src/gateway/config.js";

const published = new URL("../../config/protogate.schema.json", import.meta.url);
const validate = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(
  publishedSchema(ConfigSchema),
);

test("config/protogate.schema.json is what the code publishes (npm run schema writes it)", () => {
  assert.equal(
    readFileSync(published, "utf8"),
    `${JSON.stringify(publishedSchema(ConfigSchema), null, 2)}\n`,
  );
});

test("no unavailable key is published", () => {
  const text = JSON.stringify(publishedSchema(ConfigSchema));
  for (const key of ["circuit_breaker", "outlier"]) {
    assert.ok(!text.includes(`"${key}"`), key);
  }
});

test("every key has a description", () => {
  const undescribed: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key !== "properties") visit(value, `${path}/${key}`);
      else {
        for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
          if (!property.description) undescribed.push(`${path}/${name}`);
          visit(property, `${path}/${name}`);
        }
      }
    }
  };
  visit(publishedSchema(ConfigSchema), "");
  assert.deepEqual(undescribed, []);
});

const upstream = "listeners: { http: { address: ':0' } }\nupstreams: { chat: { targets: [a:1] } }\n";

const verdicts: readonly (readonly [what: string, yaml: string, valid: boolean])[] = [
  ["only a listener", "listeners: { http: { address: ':0' } }", true],
  ["an upstream with only targets", upstream, true],
  ["durations and sizes as text", `${upstream}http: { limits: { body: 1MiB, request_timeout: 5s } }`, true],
  ["a size as a number", `${upstream}http: { limits: { body: 1024 } }`, true],
  ["substitution of a number", `${upstream}server: { workers: "$\{N}" }`, true],
  ["substitution of a duration", `${upstream}server: { drain: "$\{DRAIN:-5s}" }`, true],
  ["substitution in an address", `listeners: { http: { address: '0.0.0.0:$\{PORT}' } }`, true],
  [
    "tls: true",
    "listeners: { http: { address: ':0' } }\nupstreams: { chat: { targets: [a:1], tls: true } }",
    true,
  ],
  [
    "a rule",
    `${upstream}http: { rules: [{ selector: a.B.C, get: /a, additional_bindings: [{ post: /b }] }] }`,
    true,
  ],
  [
    "each source of descriptors",
    `${upstream}descriptors: [{ protos: a }, { set: b }, { reflection: chat, refresh: 30s }]`,
    true,
  ],
  ["no listener", "server: {}", false],
  ["an unknown key", `${upstream}servers: {}`, false],
  ["a duration without unit", `${upstream}server: { drain: 5 }`, false],
  ["an unknown word", `${upstream}telemetry: { log: { level: loud } }`, false],
  ["a rule without pattern", `${upstream}http: { rules: [{ selector: a.B.C }] }`, false],
  ["a rule with two patterns", `${upstream}http: { rules: [{ selector: a.B.C, get: /a, put: /a }] }`, false],
  ["an unavailable key", `${upstream}http: { split: [] }`, false],
  [
    "hosts",
    `${upstream}http: { hosts: { "*.a.b": { services: [a.v1.**], routes: [/ws], docs: false }, "*": {} } }`,
    true,
  ],
  ["a host with a path", `${upstream}http: { hosts: { a.b/c: {} } }`, false],
  [
    "an upstream name with a space",
    "listeners: { http: { address: ':0' } }\nupstreams: { 'a b': { targets: [a:1] } }",
    false,
  ],
];

for (const [what, yaml, valid] of verdicts) {
  test(`an editor ${valid ? "accepts" : "flags"} ${what}`, () => {
    assert.equal(validate(parse(yaml)), valid, JSON.stringify(validate.errors));
  });
}

for (const name of [
  "gateway.yaml",
  "examples/messaging.yaml",
  "examples/blog.yaml",
  "examples/killrchat.yaml",
  "examples/login.yaml",
  "examples/rooms.yaml",
]) {
  test(`an editor accepts config/${name}`, () => {
    const yaml = readFileSync(new URL(`../../config/${name}`, import.meta.url), "utf8");
    assert.ok(validate(parse(yaml)), JSON.stringify(validate.errors));
  });
}
