import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { send, startTestGateway } from "../../gateway/harness.js";
import { type Schema, SchemaValues } from "../../openapi/schema-values.js";

/** Values that a member may have; undefined for none. */
type Members = Readonly<Record<string, readonly unknown[]>>;

const absent = undefined;

const sends: Members = {
  room_id: ["lobby"],
  from: [absent, null, "Will", 7],
  message: [absent, null, "Hello", 7],
  event: [absent, null, "typing", 7],
  data: [absent, null, { x: 1 }],
  ephemeral: [absent, null, true, false, 7],
  key: [absent, null, "k", 7],
};

const receives: Members = {
  room_id: [absent, null, "lobby", 7],
  before: [absent, null, 1, 0, "1"],
  limit: [absent, null, 1, 0, "1"],
};

const key = "0123456789abcdef0123456789abcdef";
const keyFile = `- { hash: "sha256:${createHash("sha256").update(key).digest("hex")}", subject: Will }\n`;

const cases = [
  ["without authentication", "none"],
  ["with an API key", "machines"],
] as const;

describe("bodies of the REST API for rooms", () => {
  for (const [how, auth] of cases)
    for (const [path, members] of [
      ["/chat/send", sends],
      ["/chat/receive", receives],
    ] as const)
      it(`${path} ${how} accepts the bodies that its OpenAPI document allows, and no others`, async t => {
        const gateway = await startTestGateway(
          `realtime: { rest: /chat, limits: { messages_per_second: 100000, burst: 100000 } }
http: { docs: { openapi: /openapi.json } }
auth: { default: ${auth}, providers: { machines: { type: api_key, keys: ./keys.yaml } } }
`,
          { "keys.yaml": keyFile },
        );
        t.after(() => gateway.close());
        const credentials = { "x-api-key": key };
        const document = (await send(`${gateway.url}/openapi.json`, { headers: credentials })).json;
        const schema: Schema = document.paths[path].post.requestBody.content["application/json"].schema;
        const values = new SchemaValues(document);
        const different: unknown[] = [];
        for (const body of bodiesOf(members)) {
          const { status, text } = await send(gateway.url + path, {
            method: "POST",
            headers: { "content-type": "application/json", ...credentials },
            body: JSON.stringify(body),
          });
          assert.ok(status === 200 || status === 400, text);
          if (values.allows(schema, body) !== (status === 200)) different.push({ body, text });
        }
        assert.deepEqual(different, []);
      });
});

/** Every body with one value, or none, of each member. */
function bodiesOf(members: Members): Record<string, unknown>[] {
  return Object.entries(members).reduce<Record<string, unknown>[]>(
    (bodies, [name, values]) =>
      bodies.flatMap(body => values.map(value => (value === absent ? body : { ...body, [name]: value }))),
    [{}],
  );
}
