import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Answer, ask, EventStream, framesHeaders } from "../gateway/event-stream.js";
import { get, type Served, serve } from "./served.js";

describe("sessions without a WebSocket, of two workers", () => {
  let served: Served;
  let port: number;
  let admin: string;
  let asked = 0;
  const yaml = `
listeners: { http: { address: 127.0.0.1:0, engine: fastify }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime: { path: /ws, auth: none, transports: [sse, poll], limits: { burst: 1000 } }
server: { workers: 2, drain: 1s }`;

  before(async () => {
    served = serve(yaml);
    const ready = await served.logged(({ msg }) => msg === "ready");
    port = Number(ready.http);
    admin = `http://127.0.0.1:${ready.admin}`;
  });
  after(() => served.close());

  /** A request, and the number of the worker that took it. */
  async function request(
    method: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<Answer & { readonly worker: unknown }> {
    const id = `request-${++asked}`;
    const answer = await ask(port, method, { ...headers, "x-request-id": id }, body);
    const { worker } = await served.logged(line => line.request_id === id);
    return { ...answer, worker };
  }

  /** Sends pings until both workers have taken some. @returns the number of the last */
  async function pingByBoth(session: string): Promise<number> {
    const workers = new Set<unknown>();
    let number = 0;
    while (workers.size < 2) {
      const ping = JSON.stringify({ type: "ping", id: ++number });
      const { status, worker } = await request("POST", framesHeaders(session, number), ping);
      assert.equal(status, 204);
      workers.add(worker);
    }
    return number;
  }

  it("frames to a stream of events are taken in order, whichever worker gets the requests", async () => {
    const stream = await EventStream.open(port);
    const last = await pingByBoth(stream.session);
    await stream.until(() => stream.frames.length === last);
    assert.deepEqual(
      stream.frames.map(({ id }) => id),
      Array.from({ length: last }, (_, index) => index + 1),
    );
    const workers = new Set<unknown>();
    while (workers.size < 2) {
      const skipped = await request("POST", framesHeaders(stream.session, last + 2), "{}");
      assert.deepEqual([skipped.status, skipped.reason], [409, "NUMBER_SKIPPED"]);
      workers.add(skipped.worker);
    }
    assert.equal((await request("DELETE", { "protogate-session": stream.session })).status, 204);
    assert.equal((await stream.closed)?.code, 1000);
  });

  it("polls find their session at the other worker, wait there, and get what is sent meanwhile", async () => {
    const { text } = await request("POST", {});
    const { session } = JSON.parse(text);
    const last = await pingByBoth(session);
    const poll = (received: number) =>
      request("GET", { "protogate-session": session, "protogate-received": String(received) });
    const workers = new Set<unknown>();
    while (workers.size < 2) {
      const polled = await poll(0);
      const { from, frames } = JSON.parse(polled.text);
      assert.deepEqual([from, frames.length], [1, last]);
      workers.add(polled.worker);
    }
    // Each of these waits until a frame comes, or the next poll.
    const waiting = [poll(last), poll(last), poll(last), poll(last)];
    const ping = JSON.stringify({ type: "ping", id: "meanwhile" });
    await Promise.any(waiting);
    await request("POST", framesHeaders(session, last + 1), ping);
    const answers = await Promise.all([...waiting, poll(last)]);
    const arrived = answers.flatMap(answer => JSON.parse(answer.text).frames);
    assert.ok(arrived.length > 0 && arrived.every(({ id }) => id === "meanwhile"));
  });

  it("a secret that no worker knows is 404, whatever number of a worker it begins with", async () => {
    const unknown = ["1", "2", "3", "99999", "0", "-1"].map(number => `${number}.${"x".repeat(32)}`);
    for (const session of [...unknown, "1.", ".", "1"]) {
      const workers = new Set<unknown>();
      while (workers.size < 2) {
        const refused = await request("POST", framesHeaders(session, 1), "{}");
        assert.deepEqual([refused.status, refused.reason], [404, "SESSION_NOT_FOUND"], session);
        workers.add(refused.worker);
      }
    }
  });

  it("when a worker dies its sessions are 404 at the other", async () => {
    const { text } = await request("POST", {});
    const { session } = JSON.parse(text);
    const holder = Number(session.split(".")[0]);
    const { workers } = JSON.parse((await get(`${admin}/config`)).text);
    const { pid } = workers.find(({ worker }: { worker: number }) => worker === holder);
    process.kill(pid, "SIGKILL");
    await served.logged(({ msg }) => msg === "another worker serves in place of the one that ended");
    const taken = new Set<unknown>();
    while (taken.size < 2) {
      const refused = await request("POST", framesHeaders(session, 1), "{}");
      assert.deepEqual([refused.status, refused.reason], [404, "SESSION_NOT_FOUND"]);
      taken.add(refused.worker);
    }
  });
});
