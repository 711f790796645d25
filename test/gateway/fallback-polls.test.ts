import assert from "node:assert/strict";
import http from "node:http";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { engineUnderTest } from "../engine.js";
import { type Answer, ask, framesHeaders } from "./event-stream.js";
import { startTestGateway, type TestGateway } from "./harness.js";

type Json = Record<string, unknown>;

interface Polled {
  readonly from: number;
  readonly frames: readonly Json[];
  readonly close?: { readonly code: number; readonly reason: string };
}

async function serve(t: TestContext, realtime = ""): Promise<TestGateway> {
  const section = `realtime: { path: /ws, transports: [poll]${realtime === "" ? "" : `, ${realtime}`} }\n`;
  const gateway = await startTestGateway(`${section}server: { drain: 500ms }\n`, {});
  t.after(() => gateway.close());
  return gateway;
}

/** A session whose frames come by polls. */
class PollClient {
  received = 0;
  number = 0;

  private constructor(
    readonly port: number,
    readonly session: string,
  ) {}

  static async open(port: number): Promise<PollClient> {
    const { status, headers, text } = await ask(port, "POST", { accept: "application/json" });
    assert.equal(status, 200, text);
    assert.equal(headers["cache-control"], "no-store");
    return new PollClient(port, JSON.parse(text).session);
  }

  say(...frames: readonly Json[]): Promise<Answer> {
    const body = frames.map(frame => JSON.stringify(frame)).join("\n");
    return ask(this.port, "POST", framesHeaders(this.session, ++this.number), body);
  }

  poll(received: number | string = this.received): Promise<Answer> {
    const headers = { "protogate-session": this.session, "protogate-received": String(received) };
    return ask(this.port, "GET", headers);
  }

  /** A poll that has arrived and waits: it has ended another one. */
  async wait(): Promise<{ readonly polled: Promise<Polled> }> {
    const polls = [this.poll(), this.poll()];
    const ended = await Promise.race(polls.map((poll, index) => poll.then(() => index)));
    return { polled: (polls[1 - ended] as Promise<Answer>).then(answer => this.#read(answer)) };
  }

  async take(): Promise<Polled> {
    return this.#read(await this.poll());
  }

  #read({ status, text }: Answer): Polled {
    assert.equal(status, 200, text);
    const polled: Polled = JSON.parse(text);
    if (polled.frames.length > 0) {
      assert.equal(polled.from, this.received + 1);
      this.received += polled.frames.length;
    }
    return polled;
  }

  /** Polls until a frame has that id. @returns all frames up to it */
  async until(id: unknown): Promise<Json[]> {
    const all: Json[] = [];
    for (;;) {
      const { frames, close } = await this.take();
      all.push(...frames);
      if (frames.some(frame => frame.id === id)) return all;
      assert.equal(close, undefined);
    }
  }
}

describe(`rooms over long polling (${engineUnderTest()})`, () => {
  test("frames come by polls, those of one turn together, on both listeners", async t => {
    const { httpPort, realtimePort } = await serve(t);
    for (const port of [httpPort, realtimePort]) {
      const client = await PollClient.open(port);
      const { polled } = await client.wait();
      const room_id = `r${port}`;
      const join = { type: "join-room", room_id, from: "Ann", id: 1 };
      assert.equal((await client.say(join, { type: "ping", id: 2 })).status, 204);
      const { from, frames } = await polled;
      assert.deepEqual([from, frames.map(({ id }) => id)], [1, [1, 2]]);
      await client.say({ type: "send-message", room_id, message: "Hello", id: 3 });
      const [message] = await client.until(3);
      assert.deepEqual([message?.type, message?.message], ["receive-message", "Hello"]);
    }
  });

  test("frames are repeated until a poll confirms them, and numbers that no frame has are refused", async t => {
    const { httpPort } = await serve(t);
    const client = await PollClient.open(httpPort);
    await client.say({ type: "ping", id: 1 }, { type: "ping", id: 2 });
    for (let round = 0; round < 3; round++) {
      const polled: Polled = JSON.parse((await client.poll(0)).text);
      assert.deepEqual([polled.from, polled.frames.map(({ id }) => id)], [1, [1, 2]]);
    }
    const confirmed: Polled = JSON.parse((await client.poll(1)).text);
    assert.deepEqual([confirmed.from, confirmed.frames.map(({ id }) => id)], [2, [2]]);
    for (const received of [3, -1, "x", "1.5", ""]) {
      const refused = await client.poll(received);
      assert.deepEqual([refused.status, refused.reason], [400, "INVALID_HEADER"], String(received));
    }
    const unnumbered = await ask(httpPort, "GET", { "protogate-session": client.session });
    assert.deepEqual([unnumbered.status, unnumbered.reason], [400, "MISSING_HEADER"]);
  });

  test("a second poll ends the first without frames, and gets what comes", async t => {
    const { httpPort } = await serve(t);
    const client = await PollClient.open(httpPort);
    // Whichever arrives first, one is ended and the other waits.
    const polls = [client.poll(), client.poll()];
    assert.deepEqual(JSON.parse((await Promise.race(polls)).text), { from: 1, frames: [] });
    await client.say({ type: "ping", id: 1 });
    const both = (await Promise.all(polls)).map(({ text }): Polled => JSON.parse(text));
    assert.deepEqual(both.map(({ frames }) => frames.length).toSorted(), [0, 1]);
  });

  test("frames for a poll whose client left come by the next one", async t => {
    const { httpPort } = await serve(t);
    const client = await PollClient.open(httpPort);
    const headers = { "protogate-session": client.session, "protogate-received": "0" };
    const request = http.get({ port: httpPort, host: "127.0.0.1", path: "/ws", headers, agent: false });
    request.on("error", () => undefined);
    await new Promise<void>(resolve => request.once("finish", () => resolve()));
    request.destroy();
    await client.say({ type: "ping", id: 1 });
    assert.deepEqual((await client.until(1)).length, 1);
  });

  test("a session that leaves ends its poll with 1000 and is unknown from then on", async t => {
    const { httpPort } = await serve(t);
    const client = await PollClient.open(httpPort);
    const { polled } = await client.wait();
    const left = await ask(httpPort, "DELETE", { "protogate-session": client.session });
    assert.equal(left.status, 204);
    assert.deepEqual((await polled).close, { code: 1000, reason: "" });
    for (const refused of [await client.poll(), await client.say({ type: "ping" })])
      assert.deepEqual([refused.status, refused.reason], [404, "SESSION_NOT_FOUND"]);
  });

  test("a session opens without a body, and not as a stream where that is not among the transports", async t => {
    const { httpPort } = await serve(t);
    const refused = await ask(httpPort, "POST", { "content-type": "application/json" }, "{}");
    assert.deepEqual([refused.status, refused.reason], [400, "UNEXPECTED_BODY"]);
    assert.equal((await ask(httpPort, "GET", { accept: "text/event-stream" })).status, 426);
  });

  test("a page of an origin that is not listed polls no session", async t => {
    const { httpPort } = await serve(t, 'origins: ["https://app.example.com"]');
    const client = await PollClient.open(httpPort);
    const origin = "https://evil.example";
    const polled = await ask(httpPort, "GET", {
      "protogate-session": client.session,
      "protogate-received": "0",
      origin,
    });
    assert.deepEqual([polled.status, polled.reason], [403, "ORIGIN_NOT_ALLOWED"]);
    const opened = await ask(httpPort, "POST", { origin });
    assert.deepEqual([opened.status, opened.reason], [403, "ORIGIN_NOT_ALLOWED"]);
  });

  test("the drain of the gateway comes by a poll, with code and reason", async () => {
    const gateway = await startTestGateway(
      "realtime: { path: /ws, transports: [poll] }\nserver: { drain: 2s }\n",
      {},
    );
    const client = await PollClient.open(gateway.httpPort);
    await client.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
    await client.until(1);
    const { polled } = await client.wait();
    const closed = gateway.close();
    const { close } = await polled;
    assert.equal(close?.code, 1012);
    assert.equal(JSON.parse(close?.reason ?? "{}").reason, "SHUTTING_DOWN");
    await closed;
  });

  test("a gateway that drains does not wait for sessions whose clients cannot poll any more", async () => {
    const gateway = await startTestGateway(
      "realtime: { path: /ws, transports: [poll] }\nserver: { drain: 60s }\n",
      {},
    );
    // Nobody polls the one, and nobody confirms the frame of the other.
    await PollClient.open(gateway.httpPort);
    const unconfirmed = await PollClient.open(gateway.httpPort);
    await unconfirmed.say({ type: "ping", id: 1 });
    await unconfirmed.until(1);
    const closed = gateway.close().then(() => true);
    let over = false;
    // Turns of this process, not time: while it gets no CPU neither goes on.
    for (let turn = 0; turn < 20 && !over; turn++) over = await Promise.race([closed, delay(1000, false)]);
    assert.ok(over, "the gateway still waits");
  });
});
