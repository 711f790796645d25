import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { Answer } from "../contracts/http-client.js";
import { type System, startSystem } from "../contracts/system.js";
import { type Schema, SchemaValues } from "./schema-values.js";

/** Requests of each kind for each operation. */
const runs = 8;
const seed = 20260715;

/** Refusals for what a request looks like, whatever its backend says. */
const shapeReasons = new Set([
  "ROUTE_NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "MALFORMED_PATH",
  "MALFORMED_QUERY",
  "MALFORMED_JSON",
  "MALFORMED_FORM",
  "DUPLICATE_KEY",
  "TOO_DEEP",
  "INVALID_VALUE",
  "UNKNOWN_FIELD",
  "UNKNOWN_PARAMETER",
  "ONEOF_CONFLICT",
  "FIELD_COLLISION",
  "REPEATED_PARAMETER",
  "UNEXPECTED_BODY",
  "VALIDATION_FAILED",
  "UNSUPPORTED_MEDIA_TYPE",
  "NOT_ACCEPTABLE",
  "MISSING_HEADER",
  "INVALID_HEADER",
  "BODY_TOO_LARGE",
  "INTERNAL",
]);

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly style?: string;
  readonly schema: Schema;
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly bodyRequired: boolean;
  readonly responses: Record<string, Schema>;
  /** What the gateway may refuse its requests for. */
  readonly reasons: readonly string[];
  readonly secured: boolean;
}

interface Request {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

describe("what the OpenAPI document of the demo says and what the gateway does", () => {
  let system: System;
  let values: SchemaValues;
  let operations: readonly Operation[];
  let token = "";
  let sent = 0;

  before(async () => {
    system = await startSystem(resolve(import.meta.dirname, "../../config/gateway.yaml"), {
      change: yaml => yaml.replace("requests: 30", "requests: 1000000"),
    });
    const document = JSON.parse((await system.send("GET", "/openapi.json")).body);
    values = new SchemaValues(document);
    operations = operationsOf(document, values);
    const login = await system.send("POST", "/account/login", {
      headers: { operationID: "1" },
      body: { account: "jdoe", password: "xxx" },
    });
    token = JSON.parse(login.body).data.chatToken;
  });
  after(() => system.close());

  /** The response, and the reason in the log: some dialects tell none. */
  async function exchange(
    operation: Operation,
    request: Request,
  ): Promise<Answer & { reason: string | undefined }> {
    const id = `consistency-${++sent}`;
    const answer = await system.send(operation.method, request.path, {
      headers: { ...request.headers, ...(operation.secured ? { token } : {}), "x-request-id": id },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    await system.logged(new RegExp(`"${id}"`));
    const line = JSON.parse(system.log().findLast(each => each.includes(`"${id}"`)) ?? "{}");
    return { ...answer, reason: line.reason };
  }

  it("has the operations of all five APIs", () => {
    assert.ok(operations.length >= 36, String(operations.length));
  });

  it("a request that the document allows is never refused for its shape, and its response is as the document says", async () => {
    const failures: string[] = [];
    for (const operation of operations) {
      const property = fc.asyncProperty(validRequests(operation, values), async request => {
        const { status, headers, body, reason } = await exchange(operation, request);
        assert.ok(!shapeReasons.has(reason ?? ""), `${status} ${reason}: ${body}`);
        const response = values.resolved(
          (operation.responses[String(status)] ?? operation.responses.default) as Schema,
        );
        const content = response.content as Record<string, { schema: Schema }> | undefined;
        const type = String(headers["content-type"] ?? "").split(";")[0] as string;
        const media = content?.[type];
        if (body === "" && content === undefined) return;
        assert.ok(media !== undefined, `${status} ${type} is not in the document: ${body}`);
        assert.ok(
          values.allows(media.schema, JSON.parse(body)),
          `not as ${JSON.stringify(media.schema)}: ${body}`,
        );
      });
      await check(operation, property, failures);
    }
    assert.deepEqual(failures, []);
  });

  it("a request that the document forbids is always refused for its shape", async () => {
    const failures: string[] = [];
    for (const operation of operations) {
      const requests = invalidRequests(operation, values);
      if (requests === undefined) continue;
      const property = fc.asyncProperty(requests, async request => {
        const { status, reason, body } = await exchange(operation, request);
        assert.ok(shapeReasons.has(reason ?? "") && reason !== "INTERNAL", `${status} ${reason}: ${body}`);
      });
      await check(operation, property, failures);
    }
    assert.deepEqual(failures, []);
  });
});

async function check(
  operation: Operation,
  property: fc.IAsyncProperty<[Request]>,
  failures: string[],
): Promise<void> {
  const result = await fc.check(property, { numRuns: runs, seed, endOnFailure: true });
  if (!result.failed) return;
  failures.push(
    `${operation.method} ${operation.path} ${JSON.stringify(result.counterexample)}: ${result.errorInstance}`,
  );
}

function operationsOf(document: Record<string, unknown>, values: SchemaValues): Operation[] {
  return Object.entries(document.paths as Record<string, Record<string, Schema>>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): Operation => {
      const body = operation.requestBody as
        | { content: Record<string, { schema: Schema }>; required?: boolean }
        | undefined;
      return {
        method: method.toUpperCase(),
        path,
        parameters: ((operation.parameters ?? []) as Parameter[]).map(each => ({
          ...each,
          schema: values.resolved(each.schema),
        })),
        body: body?.content["application/json"]?.schema,
        bodyRequired: body?.required === true,
        responses: operation.responses as Record<string, Schema>,
        reasons: Object.values(operation.responses as Record<string, Schema>).flatMap(
          each => (values.resolved(each)["x-protogate-reasons"] ?? []) as string[],
        ),
        secured: (operation.security as unknown[]).length > 0,
      };
    }),
  );
}

function maybe<T>(values: fc.Arbitrary<T>, required: boolean): fc.Arbitrary<T | undefined> {
  return required ? values : fc.option(values, { nil: undefined, freq: 3 });
}

type Texts = ReadonlyMap<Parameter, readonly string[] | undefined>;

function validRequests(operation: Operation, values: SchemaValues): fc.Arbitrary<Request> {
  const body =
    operation.body === undefined
      ? fc.constant(undefined)
      : maybe(
          values.valid(operation.body).map(value => JSON.stringify(value)),
          operation.bodyRequired,
        );
  return fc
    .tuple(validTexts(operation, values), body)
    .map(([texts, text]) => requestOf(operation, texts, text));
}

/** Undefined where there is nothing to do wrong. */
function invalidRequests(operation: Operation, values: SchemaValues): fc.Arbitrary<Request> | undefined {
  const texts = validTexts(operation, values);
  const valid =
    operation.body === undefined
      ? fc.constant(undefined)
      : values.valid(operation.body).map(value => JSON.stringify(value));
  const ways: fc.Arbitrary<Request>[] = [];
  if (operation.reasons.includes("UNKNOWN_PARAMETER"))
    ways.push(
      fc.tuple(texts, valid).map(([known, body]) => {
        const request = requestOf(operation, known, body);
        const separator = request.path.includes("?") ? "&" : "?";
        return { ...request, path: `${request.path}${separator}no_such_parameter=1` };
      }),
    );
  if (operation.reasons.includes("UNEXPECTED_BODY"))
    ways.push(texts.map(known => requestOf(operation, known, '{"a":1}')));
  if (operation.body !== undefined) {
    ways.push(
      fc
        .tuple(texts, values.invalid(operation.body))
        .map(([known, body]) => requestOf(operation, known, JSON.stringify(body))),
      texts.map(known => requestOf(operation, known, '{"')),
      fc.tuple(texts, valid).map(([known, body]) => {
        const request = requestOf(operation, known, body);
        return { ...request, headers: { ...request.headers, "content-type": "text/plain" } };
      }),
    );
    if (operation.bodyRequired) ways.push(texts.map(known => requestOf(operation, known, undefined)));
  }
  for (const parameter of operation.parameters) {
    if (parameter.required === true && parameter.in !== "path")
      ways.push(
        texts.map(known => requestOf(operation, new Map([...known, [parameter, undefined]]), undefined)),
      );
    const wrong = wrongTexts.filter(text => !takesText(parameter.schema, text, values));
    if (wrong.length === 0) continue;
    ways.push(
      fc
        .tuple(texts, valid, fc.constantFrom(...wrong))
        .map(([known, body, text]) => requestOf(operation, new Map([...known, [parameter, [text]]]), body)),
    );
  }
  return ways.length === 0 ? undefined : fc.oneof(...ways);
}

const wrongTexts = ["zz zz", "1.5", "", "99999999999999999999999", "-7"];

/** Whether a text is a value of a parameter, or one of its elements. */
function takesText(schema: Schema, text: string, values: SchemaValues): boolean {
  if (schema.type === "object") return true;
  if (schema.type === "array") return takesText(values.resolved(schema.items as Schema), text, values);
  if (values.allows(schema, text)) return true;
  return /^-?\d+(\.\d+)?$/.test(text) && values.allows(schema, Number(text));
}

function validTexts(operation: Operation, values: SchemaValues): fc.Arbitrary<Texts> {
  const each = operation.parameters.map(parameter =>
    maybe(
      values.valid(parameter.schema).map(value => (Array.isArray(value) ? value : [value]).map(String)),
      parameter.required === true,
    ),
  );
  return fc
    .tuple(...each)
    .map(texts => new Map(operation.parameters.map((parameter, index) => [parameter, texts[index]])));
}

function requestOf(operation: Operation, texts: Texts, body: string | undefined): Request {
  let { path } = operation;
  const query: string[] = [];
  const headers: Record<string, string> = {};
  for (const [{ name, in: place }, all] of texts) {
    if (all === undefined) continue;
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(all[0] ?? ""));
    else if (place === "header") headers[name] = all[0] ?? "";
    else for (const text of all) query.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  }
  return { path: query.length === 0 ? path : `${path}?${query.join("&")}`, headers, body };
}
