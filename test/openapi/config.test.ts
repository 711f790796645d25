import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Workspace } from "../config/workspace.js";

function problems(docs: string, more = ""): readonly string[] {
  return new Workspace().problems(`
listeners: { http: { address: ":0" } }
http: { docs: ${docs} }
${more}`);
}

describe("http.docs", () => {
  it("http.docs takes nothing but a mapping, and has defaults for all keys", () => {
    assert.deepEqual(problems("{}"), []);
    assert.equal(problems("true").length, 1);
  });

  it("http.docs names the nearest key, provider and listener where one is unknown", () => {
    assert.match(problems("{ openapi: openapi.json }").join(), /expected a path such as/);
    assert.match(problems("{ titel: A }").join(), /title/);
    assert.match(
      problems("{ auth: [user] }", "auth: { providers: { users: { type: mtls } } }").join(),
      /"users"/,
    );
    assert.match(problems("{ listeners: [admin] }").join(), /http or realtime/);
    assert.match(problems("{ listeners: [realtime] }").join(), /there is no listeners\.realtime/);
  });

  it("http.docs refuses one path for the page and the document", () => {
    assert.match(problems("{ path: /docs, openapi: /docs }").join(), /has that path already/);
    assert.match(problems('{ openapi: "" }').join(), /expected a path such as \/openapi\.json/);
  });
});
