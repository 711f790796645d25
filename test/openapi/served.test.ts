import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { type System, startSystem } from "../contracts/system.js";

const demo = resolve(import.meta.dirname, "../../config/gateway.yaml");

describe("the OpenAPI document of the demo", () => {
  let system: System;
  before(async () => {
    system = await startSystem(demo);
  });
  after(() => system.close());

  it("the OpenAPI document of the demo is JSON at http.docs.openapi, and the same as YAML beside it and by Accept", async () => {
    const json = await system.send("GET", "/openapi.json");
    assert.equal(json.status, 200, json.body);
    assert.equal(json.headers["content-type"], "application/json");
    const document = JSON.parse(json.body);
    assert.equal(document.openapi, "3.1.1");
    assert.equal(document.info.title, "Protogate demo");
    const yaml = await system.send("GET", "/openapi.yaml");
    assert.equal(yaml.headers["content-type"], "application/yaml");
    assert.deepEqual(parse(yaml.body), document);
    const accepted = await system.send("GET", "/openapi.json", { headers: { accept: "application/yaml" } });
    assert.equal(accepted.body, yaml.body);
  });

  it("the OpenAPI document of the demo is 304 for a client that has it", async () => {
    const first = await system.send("GET", "/openapi.json");
    const etag = String(first.headers.etag);
    const second = await system.send("GET", "/openapi.json", { headers: { "if-none-match": etag } });
    assert.equal(second.status, 304);
    assert.equal(second.body, "");
    const other = await system.send("GET", "/openapi.json", { headers: { "if-none-match": '"other"' } });
    assert.equal(other.body, first.body);
  });

  it("the OpenAPI document of one service has the operations of that service alone", async () => {
    const answer = await system.send("GET", "/openapi.json?service=killrchat.v1.RoomService");
    const { tags } = JSON.parse(answer.body);
    assert.deepEqual(
      tags.map(({ name }: { name: string }) => name),
      ["killrchat.v1.RoomService"],
    );
  });

  it("the OpenAPI document of the demo is compressed for a client that takes gzip, with a tag of its own, and HEAD has the same headers", async () => {
    const plain = await system.send("GET", "/openapi.json");
    const { status, headers } = await system.send("HEAD", "/openapi.json", {
      headers: { "accept-encoding": "gzip" },
    });
    assert.equal(status, 200);
    assert.equal(headers["content-encoding"], "gzip");
    assert.equal(headers.etag, String(plain.headers.etag).replace(/"$/, '-gzip"'));
    assert.ok(Number(headers["content-length"]) < plain.body.length / 4);
    const tag = { "if-none-match": String(headers.etag) };
    assert.equal((await system.send("GET", "/openapi.json", { headers: tag })).status, 304);
  });

  it("the OpenAPI document of the demo has a list of the services that have documents of their own", async () => {
    const answer = await system.send("GET", "/openapi.json?index");
    const { documents } = JSON.parse(answer.body);
    assert.equal(documents.length, 12);
    for (const { service, operations, openapi } of documents) {
      const document = JSON.parse((await system.send("GET", openapi)).body);
      const found = Object.values(document.paths).flatMap(item => Object.keys(item as object));
      assert.equal(found.length, operations, service);
    }
  });

  it("the OpenAPI document of a service that is not served is 400 with the nearest name", async () => {
    const answer = await system.send("GET", "/openapi.json?service=killrchat.v1.RoomServices");
    assert.equal(answer.status, 400);
    assert.match(answer.body, /UNKNOWN_PARAMETER.*did you mean \\"killrchat.v1.RoomService\\"/);
    assert.equal((await system.send("GET", "/openapi.json?services=x")).status, 400);
  });
});
