import assert from "node:assert/strict";
import { test } from "node:test";
import { LoadError } from "../../../src/config/diagnostic.js";
import { Page } from "../../docs/page.js";
import { startTestGateway } from "../../gateway/harness.js";
import { member } from "./member.js";
import { pricesProto, startWatchBackend } from "./watch-backend.js";

/** @param room further keys of the entry */
function configuration(feed: string, room = ""): string {
  return `
descriptors: [{ protos: ./protos }]
upstreams:
  market: { targets: ["127.0.0.1:1"] }
  legacy: { protocol: trpc, targets: ["127.0.0.1:1"] }
realtime:
  rooms: [{ match: "price-{symbol}"${room}, feed: { ${feed} } }]
`;
}

/** All problems of a configuration, a line each. */
async function problems(yaml: string): Promise<string> {
  try {
    await (await startTestGateway(yaml, { "protos/prices.proto": pricesProto })).close();
    return "";
  } catch (error) {
    assert.ok(error instanceof LoadError, String(error));
    return error.diagnostics
      .map(({ path, message, suggestion = "" }) => `${path}: ${message} ${suggestion}`)
      .join("\n");
  }
}

const watch = "upstream: market, method: market.v1.Prices/Watch";

const cases: readonly (readonly [title: string, yaml: string, expected: RegExp])[] = [
  [
    "a unary method",
    configuration("upstream: market, method: market.v1.Prices/Get"),
    /feed\.method: market\.v1\.Prices\/Get is unary; expected a server-streaming method/,
  ],
  [
    "a method that streams from the client",
    configuration("upstream: market, method: market.v1.Prices/Upload"),
    /feed\.method: market\.v1\.Prices\/Upload streams from the client/,
  ],
  [
    "a method that does not exist",
    configuration("upstream: market, method: market.v1.Prices/Watches"),
    /has no method "Watches" market\.v1\.Prices\/Watch/,
  ],
  [
    "an upstream that is not declared",
    configuration("upstream: markets, method: market.v1.Prices/Watch"),
    /feed\.upstream: there is no upstream "markets" market/,
  ],
  [
    "an upstream without streams",
    configuration("upstream: legacy, method: market.v1.Prices/Watch"),
    /feed\.upstream: upstream "legacy" has protocol trpc, which has no streams; expected one with protocol grpc/,
  ],
  [
    "a request whose field is a list",
    configuration("upstream: market, method: market.v1.Prices/Follow"),
    /market\.v1\.Odd\.symbol cannot take the symbol of a room: it must be a scalar/,
  ],
  [
    "a cursor that messages do not have",
    configuration(`${watch}, cursor: idd`),
    /feed\.cursor: market\.v1\.Price has no field "idd" id/,
  ],
  [
    "a request without the field that resumes",
    configuration(`${watch}, cursor: id, resume_field: after_di`, ", publish: server"),
    /feed\.resume_field: market\.v1\.WatchRequest has no field "after_di" after_id/,
  ],
  [
    "resuming in rooms in which members publish",
    configuration(`${watch}, cursor: id, resume_field: after_id`),
    /feed\.resume_field: members could publish what looks like a message of the feed; expected publish: server/,
  ],
  [
    "resuming without a cursor",
    configuration(`${watch}, resume_field: after_id`, ", publish: server"),
    /feed\.resume_field: expected cursor/,
  ],
  [
    "resuming without a history",
    configuration(
      `${watch}, cursor: id, resume_field: after_id`,
      ", publish: server, history: { messages: 0 }",
    ),
    /feed\.resume_field: no message is kept; expected history\.messages of at least 1/,
  ],
  [
    "a name of events that frames cannot have",
    configuration(`${watch}, event: "a b"`),
    /feed\.event: expected a string of 1 to 64 letters/,
  ],
];
for (const [what, yaml, expected] of cases)
  test(`check refuses a feed with ${what}`, async () => assert.match(await problems(yaml), expected));

test("the configuration of the page on feeds gives members the frame that the page shows", async t => {
  const page = new Page("docs/reference/realtime-feeds.md");
  const [yaml = "", proto = "", frame = ""] = ["yaml", "proto", "text"].map(
    language => page.blocks(language)[0],
  );
  const backend = await startWatchBackend(proto);
  t.after(() => backend.kill());
  const gateway = await startTestGateway(
    `descriptors: [{ protos: ./protos }]\n${yaml.replace("market:50051", `127.0.0.1:${backend.port}`)}`,
    { "protos/market.proto": proto },
  );
  t.after(() => gateway.close());
  const client = await member(t, gateway.realtimePort);
  await backend.until(() => backend.open.length === 1);
  assert.deepEqual(backend.watches[0]?.request, { symbol: "ACME" });
  backend.open[0]?.send(1, { amount: "12.50" });
  const { sent_at: sentAt, epoch, ...got } = await client.next("receive-message");
  const { sent_at: shownAt, epoch: shownEpoch, ...shown } = JSON.parse(frame);
  assert.deepEqual(got, shown);
  assert.deepEqual([typeof sentAt, typeof epoch], [typeof shownAt, typeof shownEpoch]);
});
