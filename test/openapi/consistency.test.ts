import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { send } from "../contracts/http-client.js";
import { startSystem } from "../contracts/system.js";
import { echo, startBackend, startTestGateway } from "../gateway/harness.js";
import { type Schema, SchemaValues } from "./schema-values.js";

/** Requests of each kind for each operation. */
const runs = 5;
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
  readonly example?: unknown;
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly bodyRequired: boolean;
  readonly bodyExample: unknown;
  readonly responses: Record<string, Schema>;
  /** Names of query parameters of which one may be given. */
  readonly rivals: readonly (readonly string[])[];
  /** What the gateway may refuse its requests for. */
  readonly reasons: readonly string[];
  readonly secured: boolean;
}

interface Request {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A gateway and how requests get to it. */
interface Subject {
  /** Operations at least. */
  readonly size: number;
  document(): Promise<Schema>;
  /** @param id for the log @returns the response, and the reason in the log: some dialects tell none */
  exchange(operation: Operation, request: Request, id: string): Promise<Exchange>;
  close(): Promise<void>;
}

interface Exchange {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly reason: string | undefined;
}

describeSubject("the demo", async () => {
  const system = await startSystem(resolve(import.meta.dirname, "../../config/gateway.yaml"), {
    change: yaml => yaml.replace("requests: 30", "requests: 1000000"),
  });
  const login = await system.send("POST", "/account/login", {
    headers: { operationID: "1" },
    body: { account: "jdoe", password: "xxx" },
  });
  const token = JSON.parse(login.body).data.chatToken;
  return {
    size: 36,
    document: async () => JSON.parse((await system.send("GET", "/openapi.json")).body),
    exchange: async (operation, request, id) => {
      const { status, headers, body } = await system.send(operation.method, request.path, {
        headers: { ...request.headers, ...(operation.secured ? { token } : {}), "x-request-id": id },
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      await system.logged(new RegExp(`"${id}"`));
      const line = JSON.parse(system.log().findLast(each => each.includes(`"${id}"`)) ?? "{}");
      return { status, contentType: String(headers["content-type"] ?? ""), body, reason: line.reason };
    },
    close: () => system.close(),
  };
});

describeSubject("an API with fields of every kind", async () => {
  const backend = await startBackend({
    "/every.v1.Every/Post": echo,
    "/every.v1.Every/Get": echo,
    "/every.v1.Every/Patch": echo,
    "/every.v1.Every/Check": echo,
    "/every.v1.Every/Find": echo,
  });
  const gateway = await startTestGateway(
    `descriptors: [{ protos: protos }]
upstreams: { every: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: every.v1.Every, upstream: every }]
http: { docs: {} }
`,
    { "protos/every.proto": readFileSync(resolve(import.meta.dirname, "every.proto"), "utf8") },
  );
  return {
    size: 5,
    document: async () => JSON.parse((await send(gateway.httpPort, "GET", "/openapi.json")).body),
    exchange: async ({ method }, { path, headers, body }, id) => {
      const response = await send(gateway.httpPort, method, path, {
        headers: { ...headers, "x-request-id": id },
        ...(body === undefined ? {} : { body }),
      });
      const line = await gateway.logged(each => each.request_id === id);
      return {
        status: response.status,
        contentType: String(response.headers["content-type"] ?? ""),
        body: response.body,
        reason: line.reason as string | undefined,
      };
    },
    close: async () => {
      await gateway.close();
      await backend.close();
    },
  };
});

function describeSubject(name: string, start: () => Promise<Subject>): void {
  describe(`the OpenAPI document of ${name} and the gateway's behaviour`, () => {
    let subject: Subject;
    let values: SchemaValues;
    let operations: readonly Operation[];
    let sent = 0;

    before(async () => {
      subject = await start();
      const document = await subject.document();
      values = new SchemaValues(document);
      operations = operationsOf(document, values);
    });
    after(() => subject.close());

    const exchange = (operation: Operation, request: Request): Promise<Exchange> =>
      subject.exchange(operation, request, `consistency-${++sent}`);

    it(`the OpenAPI document of ${name} has all operations`, () => {
      assert.ok(operations.length >= subject.size, String(operations.length));
    });

    it("a request that the document allows is never refused for its shape, and its response is as the document says", async () => {
      const failures: string[] = [];
      for (const operation of operations) {
        const property = fc.asyncProperty(validRequests(operation, values), async request => {
          const { status, contentType, body, reason } = await exchange(operation, request);
          assert.ok(!shapeReasons.has(reason ?? ""), `${status} ${reason}: ${body}`);
          const declared = operation.responses[String(status)] ?? operation.responses.default;
          const { content } = values.resolved(declared as Schema) as {
            content?: Record<string, { schema: Schema }>;
          };
          const [type = ""] = contentType.split(";");
          const media = content?.[type];
          if (body === "" && content === undefined) return;
          assert.ok(media !== undefined, `${status} ${type} is not in the document: ${body}`);
          const answer = JSON.parse(body);
          assert.ok(values.allows(media.schema, answer), `not as ${JSON.stringify(media.schema)}: ${body}`);
        });
        await check(operation, property, failures);
      }
      assert.deepEqual(failures, []);
    });

    it("the example of a request is never refused for its shape", async () => {
      const failures: string[] = [];
      let tried = 0;
      for (const operation of operations) {
        const request = exampleOf(operation);
        if (request === undefined) continue;
        tried++;
        const { status, reason, body } = await exchange(operation, request);
        if (shapeReasons.has(reason ?? ""))
          failures.push(`${operation.method} ${request.path} ${request.body}: ${status} ${reason} ${body}`);
      }
      assert.deepEqual(failures, []);
      assert.ok(2 * tried > operations.length, `${tried} of ${operations.length}`);
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
}

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
        | { content: Record<string, { schema: Schema; example?: unknown }>; required?: boolean }
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
        bodyExample: body?.content["application/json"]?.example,
        responses: operation.responses as Record<string, Schema>,
        rivals: (operation["x-protogate-oneofs"] ?? []) as string[][],
        reasons: Object.values(operation.responses as Record<string, Schema>).flatMap(
          each => (values.resolved(each)["x-protogate-reasons"] ?? []) as string[],
        ),
        secured: (operation.security as unknown[]).length > 0,
      };
    }),
  );
}

/** The request that the document shows; undefined where it does not show all that is required. */
function exampleOf(operation: Operation): Request | undefined {
  const needed = operation.parameters.filter(({ required }) => required === true);
  if (needed.some(({ example, in: place }) => example === undefined && place !== "header")) return undefined;
  const { body, bodyExample } = operation;
  if (body !== undefined && bodyExample === undefined) return undefined;
  const texts = new Map(needed.map(parameter => [parameter, [String(parameter.example ?? "1")]] as const));
  return requestOf(operation, texts, bodyExample === undefined ? undefined : JSON.stringify(bodyExample));
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

/** OpenAPI cannot say that one parameter excludes another; the extension does. */
function withoutRivals({ rivals }: Operation, texts: Texts): Texts {
  const given = [...texts].filter(([, text]) => text !== undefined).map(([{ name }]) => name);
  const dropped = new Set(rivals.flatMap(names => given.filter(name => names.includes(name)).slice(1)));
  return new Map(
    [...texts].map(([parameter, text]) => [parameter, dropped.has(parameter.name) ? undefined : text]),
  );
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
      values.valid(parameter.schema).map(value => textsOf(value)),
      parameter.required === true,
    ),
  );
  return fc
    .tuple(...each)
    .map(texts =>
      withoutRivals(
        operation,
        new Map(operation.parameters.map((parameter, index) => [parameter, texts[index]])),
      ),
    );
}

/** The texts of a parameter; those of a map begin with their keys. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  if (typeof value !== "object" || value === null) return [String(value)];
  return Object.entries(value).map(([key, each]) => `[${key}]=${each}`);
}

function requestOf(operation: Operation, texts: Texts, body: string | undefined): Request {
  let { path } = operation;
  const query: string[] = [];
  const headers: Record<string, string> = {};
  for (const [{ name, in: place, style }, all] of texts) {
    if (all === undefined) continue;
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(all[0] ?? ""));
    else if (place === "header") headers[name] = all[0] ?? "";
    else
      for (const text of all) {
        const [, key, value = text] = (style === "deepObject" && /^\[(.*?)\]=(.*)$/su.exec(text)) || [];
        const full = key === undefined ? name : `${name}[${key}]`;
        query.push(`${encodeURIComponent(full)}=${encodeURIComponent(value)}`);
      }
  }
  return { path: query.length === 0 ? path : `${path}?${query.join("&")}`, headers, body };
}
