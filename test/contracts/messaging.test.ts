import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { type System, startSystem } from "./system.js";

const root = resolve(import.meta.dirname, "../..");

/** Contract A, each row at its documented path: the rule's service, the request, the RPC message. */
const rows = [
  {
    rule: 'get: "/v1/{name=messages/*}"',
    service: "messaging.resource.v1.MessageService",
    method: "GET",
    path: "/v1/messages/123456",
    rpc: { name: "messages/123456" },
  },
  {
    rule: 'get: "/v1/messages/{message_id}"',
    service: "messaging.query.v1.MessageService",
    method: "GET",
    path: "/v1/messages/123456?revision=2&sub.subfield=foo",
    rpc: { messageId: "123456", revision: "2", sub: { subfield: "foo" } },
  },
  {
    rule: 'post: "/v1/messages/{message_id}" body: "message"',
    service: "messaging.update.v1.MessageService",
    method: "POST",
    path: "/v1/messages/123456",
    body: { text: "Hi!" },
    rpc: { messageId: "123456", message: { text: "Hi!" } },
  },
  {
    rule: 'post: "/v1/messages/{message_id}" body: "*"',
    service: "messaging.replace.v1.MessageService",
    method: "POST",
    path: "/v1/messages/123456",
    body: { text: "Hi!" },
    rpc: { messageId: "123456", text: "Hi!" },
  },
  {
    rule: 'additional_bindings { get: "/v1/users/{user_id}/messages/{message_id}" }',
    service: "messaging.query.v1.MessageService",
    method: "GET",
    path: "/v1/users/me/messages/123456",
    rpc: { messageId: "123456", userId: "me" },
  },
] as const;

function bodyOf(row: (typeof rows)[number]) {
  return "body" in row ? { body: row.body } : {};
}

for (const example of ["messaging.yaml", "trpc.yaml"])
  describe(`config/examples/${example}`, () => {
    let system: System;
    before(async () => {
      system = await startSystem(join(root, "config/examples", example));
    });
    after(() => system.close());

    const prefixes: Readonly<Record<string, string>> = {
      "messaging.resource.v1.MessageService": "/resource",
      "messaging.replace.v1.MessageService": "/replace",
    };
    for (const row of rows) {
      const path = `${prefixes[row.service] ?? ""}${row.path}`;
      it(`${row.method} ${path} reaches the backend as the RPC message of ${row.rule}`, async () => {
        const answer = await system.send(row.method, path, bodyOf(row));
        assert.equal(answer.status, 200, answer.body);
        assert.match(answer.headers["content-type"] ?? "", /^application\/json/);
        assert.deepEqual(JSON.parse(answer.body).request, row.rpc);
      });
    }

    it(`config/examples/${example} reads back the text that was written`, async () => {
      await system.send("POST", "/v1/messages/greeting", { body: { text: "Grüß Gott ☃" } });
      const answer = await system.send("GET", "/v1/messages/greeting");
      assert.deepEqual(JSON.parse(answer.body), {
        text: "Grüß Gott ☃",
        request: { messageId: "greeting" },
      });
    });

    it(`config/examples/${example} carries a revision beyond 2^53 without loss`, async () => {
      const answer = await system.send("GET", "/v1/messages/1?revision=9007199254740993");
      assert.equal(JSON.parse(answer.body).request.revision, "9007199254740993");
    });

    it(`config/examples/${example} decodes an escaped slash in a variable of one segment`, async () => {
      const answer = await system.send("GET", "/v1/messages/a%2Fb%20c");
      assert.equal(JSON.parse(answer.body).request.messageId, "a/b c");
    });

    it(`config/examples/${example} keeps an escaped slash in a variable of several segments`, async () => {
      const answer = await system.send("GET", "/resource/v1/messages/a%2Fb%20c");
      assert.equal(JSON.parse(answer.body).request.name, "messages/a%2Fb c");
    });

    it(`config/examples/${example} refuses a query parameter for the field that the body fills`, async () => {
      const answer = await system.send("POST", "/v1/messages/1?message.text=no", { body: { text: "yes" } });
      assert.equal(answer.status, 400);
    });

    const refusals = [
      {
        what: "a query parameter that differs from the path",
        method: "GET",
        path: "/v1/messages/123456?message_id=7",
        reason: "FIELD_COLLISION",
        names: /message_id|messageId/,
      },
      {
        what: "a query parameter by JSON name that differs from the path",
        method: "GET",
        path: "/v1/messages/123456?messageId=7",
        reason: "FIELD_COLLISION",
        names: /message_id|messageId/,
      },
      {
        what: "a body that differs from the path",
        method: "POST",
        path: "/replace/v1/messages/123456",
        body: { messageId: "7", text: "Hi!" },
        reason: "FIELD_COLLISION",
        names: /message_id|messageId/,
      },
      {
        what: "an unknown query parameter",
        method: "GET",
        path: "/v1/messages/123456?revison=2",
        reason: "UNKNOWN_PARAMETER",
        names: /revision/,
      },
      {
        what: "any query parameter where the body is everything",
        method: "POST",
        path: "/replace/v1/messages/123456?text=Hi",
        body: {},
        reason: "UNKNOWN_PARAMETER",
        names: /text/,
      },
      {
        what: "an unknown field in the body",
        method: "POST",
        path: "/v1/messages/123456",
        body: { txt: "Hi!" },
        reason: "UNKNOWN_FIELD",
        names: /message\.txt|txt/,
      },
      {
        what: "a value of a wrong type",
        method: "GET",
        path: "/v1/messages/123456?revision=two",
        reason: "INVALID_VALUE",
        names: /revision/,
      },
      {
        what: "malformed JSON",
        method: "POST",
        path: "/v1/messages/123456",
        body: '{"text":',
        reason: "MALFORMED_JSON",
        names: /./,
      },
      {
        what: "a key given twice",
        method: "POST",
        path: "/v1/messages/123456",
        body: '{"text":"a","text":"b"}',
        reason: "DUPLICATE_KEY",
        names: /text/,
      },
    ];
    for (const { what, method, path, reason, names, ...sent } of refusals) {
      it(`config/examples/${example} refuses ${what} as 400 ${reason}`, async () => {
        const answer = await system.send(method, path, sent);
        assert.equal(answer.status, 400, answer.body);
        const error = JSON.parse(answer.body);
        assert.equal(error.code, 3);
        assert.equal(error.reason, reason);
        assert.match(error.message, names);
      });
    }

    it(`config/examples/${example} takes a query parameter that repeats the value of the path`, async () => {
      const answer = await system.send("GET", "/v1/messages/123456?message_id=123456");
      assert.equal(answer.status, 200, answer.body);
    });

    it(`a method without a rule in config/examples/${example} gets 405 and the allowed methods`, async () => {
      const answer = await system.send("DELETE", "/v1/messages/123456");
      assert.equal(answer.status, 405);
      const allowed = (answer.headers.allow ?? "").split(/, */);
      for (const method of ["GET", "HEAD", "POST"]) assert.ok(allowed.includes(method), answer.headers.allow);
      assert.ok(!allowed.includes("DELETE"));
    });

    it(`a path without a rule in config/examples/${example} gets 404`, async () => {
      const answer = await system.send("GET", "/v1/messages/1/2");
      assert.equal(answer.status, 404);
      assert.equal(JSON.parse(answer.body).reason, "ROUTE_NOT_FOUND");
    });

    it(`HEAD with config/examples/${example} gets the response of GET without the body`, async () => {
      const answer = await system.send("HEAD", "/v1/messages/123456");
      assert.equal(answer.status, 200);
      assert.equal(answer.body, "");
    });
  });

/** Drops one of the two options from a proto, `option (google.api.http) = {...};` with its import. */
function withoutAnnotation(source: string, option: string): string {
  const name = option.replaceAll(".", "\\.");
  const statement = new RegExp(
    `\\n {4}option \\(${name}\\.http\\) = \\{(?:[^\\n]*\\};|[^]*?\\n {4}\\};)`,
    "g",
  );
  const imported = `import "${option.replace(".", "/")}/annotations.proto";\n`;
  return source.replace(statement, "").replace(imported, "");
}

for (const dropped of ["none", "google.api", "trpc.api"]) {
  const annotations = dropped === "none" ? "both annotations" : `all annotations but (${dropped}.http)`;
  describe(`config/examples/messaging.yaml with ${annotations}, each service alone`, () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "protogate-messaging-"));
      const protos = join(folder, "protos/messaging");
      await cp(join(root, "protos/demo/messaging"), protos, { recursive: true });
      for (const file of await readdir(protos, { recursive: true })) {
        if (!file.endsWith(".proto")) continue;
        const source = await readFile(join(protos, file), "utf8");
        const edited = withoutAnnotation(source, dropped);
        assert.equal(edited.includes(`(${dropped}.http)`), false);
        await writeFile(join(protos, file), edited);
      }
    });
    after(() => rm(folder, { recursive: true }));

    for (const row of rows) {
      it(`${row.method} ${row.path} is the RPC message of ${row.rule}`, async () => {
        const file = join(folder, `${row.service}.yaml`);
        await writeFile(file, configFor(row.service));
        const system = await startSystem(file);
        try {
          const answer = await system.send(row.method, row.path, bodyOf(row));
          assert.equal(answer.status, 200, answer.body);
          assert.deepEqual(JSON.parse(answer.body).request, row.rpc);
        } finally {
          await system.close();
        }
      });
    }
  });
}

function configFor(service: string): string {
  return `
listeners:
  http: { address: "127.0.0.1:\${HTTP_PORT}" }
  admin: { address: "127.0.0.1:\${ADMIN_PORT}" }
descriptors:
  - protos: ./protos
upstreams:
  messaging: { targets: ["127.0.0.1:\${DEMO_BACKEND_PORT}"] }
services:
  - { service: ${service}, upstream: messaging }
`;
}
