import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { send } from "../gateway/harness.js";
import { serveTicks } from "../streams/ticks.js";
import { hostile, hostileKinds, numbersFrom } from "./hostile-inputs.js";

/** Of each kind; more by the variable, for a long run. */
const inputs = Number(process.env.HOSTILE_INPUTS ?? 40);
const seed = Number(process.env.HOSTILE_SEED ?? 1);
const atOnce = 20;
/** Milliseconds without a word after which a client leaves; what the gateway has to say takes less, or is not waited for. */
const patience = 150;

const yaml = `
http:
  rules: [{ selector: test.v1.Ticks.Send, post: "/v1/rooms/{room}/sends", body: "*" }]
  limits: { request_timeout: 400ms, body: 64KiB }
  uploads: { file: 64KiB, body: 64KiB }
  compression: {}
server: { drain: 1s }
`;

describe("bytes that no honest client sends", { timeout: 600_000 }, () => {
  const ticks = serveTicks("timeout: 2s", yaml);

  for (const [index, kind] of hostileKinds.entries())
    it(`hostile bytes in ${kind.name} break nothing: no request fails by a fault of the gateway, and none is left open`, async () => {
      const pick = numbersFrom(1000 * seed + index);
      const all = Array.from({ length: inputs }, () => hostile(kind, pick));
      const next = async (): Promise<void> => {
        for (let bytes = all.pop(); bytes !== undefined; bytes = all.pop()) await converse(bytes);
      };
      const from = ticks.gateway.log.length;
      await Promise.all(Array.from({ length: atOnce }, next));
      await quiet();
      const faults = ticks.gateway.log
        .slice(from)
        .filter(({ level, reason }) => Number(level) >= 50 || reason === "INTERNAL");
      assert.deepEqual(faults, []);
      const fine = await send(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1`);
      assert.deepEqual([fine.status, fine.json.length], [200, 1]);
    });

  /** Resolves when the gateway has ended the connection, or when the client has had enough and leaves. */
  function converse(bytes: Buffer): Promise<void> {
    return new Promise(resolve => {
      const socket = connect(ticks.gateway.httpPort, "127.0.0.1", () => {
        socket.write(bytes);
        if (bytes.length % 3 === 0) socket.end();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      // Restarted by whatever comes back.
      socket.setTimeout(patience, () => socket.destroy());
      socket.resume();
    });
  }

  async function quiet(): Promise<void> {
    for (;;) {
      const { text } = await send(`${ticks.gateway.admin}/metrics`);
      const open = [...text.matchAll(/^protogate_(?:streams_open|http_requests_in_flight)\S* (\d+)$/gm)];
      assert.ok(open.length > 0);
      if (open.every(([, value]) => value === "0")) return;
      await new Promise(setImmediate);
    }
  }
});
