import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { openApiText } from "../../src/openapi/documents.js";
import { sourceOf } from "./document-of.js";

const head = `syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "buf/validate/validate.proto";
`;

/** Whatever a document holds; tests look into it where they know what is there. */
// biome-ignore lint/suspicious/noExplicitAny: a document has no type of its own
type Document = any;

async function documentOf(proto: string, yaml?: string): Promise<Document> {
  return JSON.parse(
    (await openApiText(await sourceOf(`${head}${proto}`, yaml), undefined, "json")).toString(),
  );
}

describe("routes that OpenAPI cannot express", () => {
  const proto = `
message Name { string name = 1; }
service Files {
  rpc Read(Name) returns (Name) { option (google.api.http) = { get: "/files/{name=**}" }; }
  rpc Find(Name) returns (Name) { option (google.api.http) = { custom: { kind: "FIND", path: "/files" } }; }
  rpc Any(Name) returns (Name) { option (google.api.http) = { custom: { kind: "*", path: "/any" } }; }
}`;

  it("routes with ** or a method of their own are listed with the reason", async () => {
    const document = await documentOf(proto);
    assert.deepEqual(document.paths, {});
    assert.deepEqual(document["x-protogate-unlisted"], [
      {
        method: "GET",
        template: "/files/{name=**}",
        rpc: "api.v1.Files.Read",
        reason: "`**` takes any number of segments, and a parameter of a path takes one",
      },
      {
        method: "FIND",
        template: "/files",
        rpc: "api.v1.Files.Find",
        reason: "OpenAPI has no operations for the method FIND",
      },
      {
        method: "*",
        template: "/any",
        rpc: "api.v1.Files.Any",
        reason: "OpenAPI has no operations for the method *",
      },
    ]);
  });

  it("templates that differ in the names of their variables only are one path", async () => {
    const document = await documentOf(`
message Id { string id = 1; }
message Name { string name = 1; }
service Things {
  rpc Get(Id) returns (Id) { option (google.api.http) = { get: "/things/{id}" }; }
  rpc Drop(Name) returns (Name) { option (google.api.http) = { delete: "/things/{name}" }; }
}`);
    assert.deepEqual(Object.keys(document.paths), ["/things/{id}"]);
    const { get, delete: drop } = document.paths["/things/{id}"];
    assert.deepEqual(
      [get, drop].map(({ parameters }) => parameters[0].name),
      ["id", "id"],
    );
    assert.match(drop.parameters[0].description, /The field `name`/);
  });
});

describe("paths", () => {
  it("a variable of several segments has a parameter for each, named by the literal before it", async () => {
    const document = await documentOf(`
message Name { string name = 1; }
service Books {
  rpc Get(Name) returns (Name) { option (google.api.http) = { get: "/v1/{name=publishers/*/series/*/boxes/*}:open" }; }
}`);
    const [[path, { get }]] = Object.entries<Document>(document.paths) as [[string, Document]];
    assert.equal(path, "/v1/publishers/{publisher}/series/{series}/boxes/{box}:open");
    assert.deepEqual(
      get.parameters.map(({ name, in: place, required }: Document) => [name, place, required]),
      ["publisher", "series", "box"].map(name => [name, "path", true]),
    );
  });
});

describe("hostile protos", () => {
  it("comments with markup, control characters and directions of text make a document that both forms carry", async () => {
    const proto = `
// <script>alert(1)</script> "quotes" \\\\ & \u0007\u202e\u2028: - {a: b} # no comment
// (-- api-linter: for authors only --)
message Name { /* */ string name = 1; } // --> ]]>
service Files { rpc Get(Name) returns (Name) { option (google.api.http) = { get: "/files" }; } }`;
    const source = await sourceOf(`${head}${proto}`);
    const json = (await openApiText(source, undefined, "json")).toString();
    const document: Document = JSON.parse(json);
    const { description } = document.components.schemas["api.v1.Name"];
    assert.equal(description, '<script>alert(1)</script> "quotes" \\\\ & : - {a: b} # no comment');
    const yaml = (await openApiText(source, undefined, "yaml")).toString();
    assert.deepEqual(parse(yaml), document);
  });

  it("messages that hold themselves are described once, and a query lists each field once", async () => {
    const document = await documentOf(`
message Node { string id = 1; Node next = 2; repeated Node all = 3; map<string, Node> by_name = 4; Other other = 5; }
message Other { Node node = 1; string text = 2; }
service Nodes { rpc Get(Node) returns (Node) { option (google.api.http) = { get: "/nodes" }; } }`);
    const { parameters, description } = document.paths["/nodes"].get;
    assert.deepEqual(
      parameters.map(({ name }: Document) => name),
      ["id", "other.text"],
    );
    assert.match(description, /`next\.…`: the fields of api\.v1\.Node/);
    assert.equal(
      document.components.schemas["api.v1.Node"].properties.next.$ref,
      "#/components/schemas/api.v1.Node",
    );
  });

  it("types and fields of confusing names keep apart", async () => {
    const document = await documentOf(`
message Thing { message input { string a = 1; } input input = 1; string __proto__ = 2; string constructor = 3; string toString = 4; }
message Thing_input { int32 b = 1; }
service Things { rpc Post(Thing) returns (Thing) { option (google.api.http) = { post: "/things" body: "*" additional_bindings { post: "/again" body: "input" } }; } }
service things { rpc Post(Thing_input) returns (Thing) { option (google.api.http) = { post: "/others" body: "*" }; } }`);
    const names = Object.keys(document.components.schemas);
    for (const name of [
      "api.v1.Thing",
      "api.v1.Thing-input",
      "api.v1.Thing.input",
      "api.v1.Thing.input-input",
      "api.v1.Thing_input",
    ])
      assert.ok(names.includes(name), `${name} in ${names}`);
    const { properties } = document.components.schemas["api.v1.Thing-input"];
    assert.ok(
      ["input", "Proto", "constructor", "toString"].every(name => Object.hasOwn(properties, name)),
      Object.keys(properties).join(),
    );
    const ids = Object.values<Document>(document.paths).map(({ post }) => post.operationId);
    assert.deepEqual(ids, ["api.v1.Things.Post-2", "api.v1.things.Post", "api.v1.Things.Post"]);
  });
});

describe("operations of routes in the OpenAPI document", () => {
  it("auth, rate limits, deprecation and comments are in the operation", async () => {
    const document = await documentOf(
      `
message Name { string name = 1 [deprecated = true]; }
// All about users.
service Users {
  // Finds a user. By name.
  rpc Get(Name) returns (Name) { option deprecated = true; option (google.api.http) = { get: "/users" }; }
}`,
      `auth:
  providers:
    users: { type: jwt, secret: "a secret of more than 32 characters, no less", algorithms: [HS256], cookie: sid }
    bearer: { type: jwt, secret: "a secret of more than 32 characters, no less", algorithms: [HS256] }
rate_limits: { few: { requests: 5, per: 1s, key: ip } }
service_defaults: { auth: [users, bearer], rate_limit: few }`,
    );
    const { get } = document.paths["/users"];
    assert.equal(get.summary, "Finds a user");
    assert.equal(get.description, "Finds a user. By name.");
    assert.equal(get.deprecated, true);
    assert.equal(get.parameters[0].deprecated, true);
    assert.deepEqual(get.security, [{ users: [] }, { bearer: [] }]);
    assert.deepEqual(document.components.securitySchemes, {
      bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "A JSON Web Token." },
      users: { type: "apiKey", in: "cookie", name: "sid", description: "A JSON Web Token." },
    });
    assert.deepEqual(Object.keys(get.responses["200"].headers), ["RateLimit", "RateLimit-Policy"]);
    const { "status-401": refused, "status-429": limited } = document.components.responses;
    assert.deepEqual(refused["x-protogate-reasons"].slice(0, 2), [
      "CREDENTIALS_MISSING",
      "CREDENTIALS_INVALID",
    ]);
    assert.ok("Retry-After" in limited.headers);
    assert.deepEqual(document.tags, [{ name: "api.v1.Users", description: "All about users." }]);
  });

  it("streams have their media types, raw bodies any, and each dialect its errors", async () => {
    const document = await documentOf(
      `
message Name { string name = 1; bytes picture = 2; }
service Streams {
  rpc Watch(Name) returns (stream Name) { option (google.api.http) = { get: "/watch" }; }
  rpc Send(stream Name) returns (Name) { option (google.api.http) = { post: "/send" body: "*" }; }
  rpc File(Name) returns (google.api.HttpBody) { option (google.api.http) = { get: "/file" }; }
  rpc Put(google.api.HttpBody) returns (Name) { option (google.api.http) = { put: "/file" body: "*" }; }
  rpc Show(Name) returns (Name) { option (google.api.http) = { post: "/picture" body: "*" }; }
}`,
      `service_defaults: { errors: problem }
http: { uploads: {} }`,
    );
    const { paths } = document;
    const types = (response: Document) => Object.keys(response.content);
    assert.deepEqual(types(paths["/watch"].get.responses["200"]), [
      "application/json",
      "application/x-ndjson",
      "text/event-stream",
    ]);
    assert.deepEqual(types(paths["/send"].post.requestBody).slice(0, 2), [
      "application/json",
      "application/x-ndjson",
    ]);
    assert.deepEqual(types(paths["/file"].get.responses["200"]), ["*/*"]);
    assert.deepEqual(types(paths["/file"].put.requestBody), ["*/*"]);
    assert.deepEqual(types(paths["/picture"].post.requestBody), ["application/json", "multipart/form-data"]);
    const { format } =
      paths["/picture"].post.requestBody.content["multipart/form-data"].schema.properties.picture;
    assert.equal(format, "binary");
    assert.deepEqual(types(document.components.responses["problem-default"]), ["application/problem+json"]);
  });

  it("examples of responses satisfy their schemas", async () => {
    const document = await documentOf(`
message Name { string name = 1; }
service Names { rpc Get(Name) returns (Name) { option (google.api.http) = { get: "/names/{name}" }; } }`);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    for (const { content } of Object.values<Document>(document.components.responses))
      for (const { schema, example } of Object.values<Document>(content))
        if (example !== undefined) {
          const validate = ajv.compile({ ...schema, components: document.components });
          assert.ok(validate(example), JSON.stringify(validate.errors));
        }
  });
});
