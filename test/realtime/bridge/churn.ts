import { Registry } from "prom-client";
import { Cancellation } from "../../../src/net/cancellation.js";
import { BridgeMetrics } from "../../../src/realtime/bridge/bridge-metrics.js";
import { createBridge, type RpcBridge } from "../../../src/realtime/bridge/rpc-bridge.js";
import { Semaphore } from "../../../src/realtime/bridge/semaphore.js";
import type { CallFrame, SendFrame } from "../../../src/realtime/chat/frames.js";
import type { Channel, UnaryResult } from "../../../src/upstream/channel.js";
import { grownOldSpace } from "../../old-space.js";
import { compileTestBridge, type TestSession, testSession } from "./bridge-system.js";

// Run by churn.test.ts in a process of its own: the test runner keeps a Map of all promises. Prints, as JSON, by how many
// bytes the old space grows with what comes and goes.

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** A line in which a hundred always wait. */
async function line(): Promise<number> {
  const gate = new Semaphore({ concurrency: 1, queue: 1000 });
  gate.acquire(60_000);
  const wait = async (): Promise<void> => {
    const what = new Array(100).fill(0);
    await gate.acquire(60_000, new Cancellation());
    what.pop();
  };
  for (let i = 0; i < 100; i++) void wait();
  const pass = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      void wait();
      gate.release();
      if (i % 20 === 0) await turn();
    }
  };
  const grown = await grownOldSpace(
    () => pass(1000),
    () => pass(20_000),
  );
  while (gate.waiting > 0) gate.release();
  return grown;
}

const answered: UnaryResult = {
  status: { code: 0, message: "", origin: undefined },
  message: new Uint8Array(0),
  headers: [],
  trailers: [],
  attempts: 1,
  seconds: 0,
};

/** A bridge to a backend that answers in the next turn. */
async function bridgeOf(): Promise<RpcBridge> {
  const unary = () => new Promise(resolve => setImmediate(resolve, answered));
  const channel = { unary } as unknown as Channel;
  const { plan } = await compileTestBridge({
    events: { message: { upstream: "chat", method: "chat.v1.Rooms/Send", on_failure: "refuse" } },
    calls: ["chat.v1.Calls/*"],
  });
  const bridge = createBridge(new BridgeMetrics(new Registry(), [1]));
  bridge.use({ plan, channels: new Map([["chat", channel]]), check: () => undefined });
  return bridge;
}

/** Events of sockets of which each puts one after the other. */
async function events(bridge: RpcBridge, sessions: readonly TestSession[]): Promise<number> {
  const pass = async (count: number): Promise<void> => {
    const each = sessions.map(async session => {
      for (let i = 0; i < count / sessions.length; i++) {
        const message = Buffer.alloc(1000, "x").toString();
        const frame: SendFrame = { type: "send-message", room_id: "x", from: "A", message };
        await bridge.event("message", session, frame);
      }
    });
    await Promise.all(each);
  };
  return grownOldSpace(
    () => pass(2000),
    () => pass(30_000),
  );
}

/** Calls of sockets of which each has a few under way. */
async function calls(bridge: RpcBridge, sessions: readonly TestSession[]): Promise<number> {
  let id = 0;
  const pass = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const session = sessions[i % sessions.length] as TestSession;
      const frame: CallFrame = { type: "call", id: ++id, method: "chat.v1.Calls/Echo" };
      bridge.call(session, frame, `{"body":{"text":"${Buffer.alloc(1000, "x")}"}}`);
      if (i % (4 * sessions.length) === 0) await turn();
    }
    await turn();
  };
  return grownOldSpace(
    () => pass(2000),
    () => pass(30_000),
  );
}

const bridge = await bridgeOf();
const sessions = Array.from({ length: 60 }, () => {
  const session = testSession();
  session.send = () => true;
  return session;
});
const grown = {
  line: await line(),
  events: await events(bridge, sessions),
  calls: await calls(bridge, sessions),
};
console.log(JSON.stringify(grown));
