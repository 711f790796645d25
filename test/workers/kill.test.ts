import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";
import { uwsSkipped } from "../engine.js";
import { echo, startBackend } from "../gateway/harness.js";
import { get, serve } from "./served.js";

const callers = 24;

/** A client that sends one request after the other, on a connection for as long as it lasts. */
class Caller {
  /** Requests on connections that had a response before, or not, which have failed; with the worker, where it is known. */
  readonly lost: { readonly worker: unknown; readonly how: string }[] = [];
  served = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  readonly #workerOf: (id: string) => Promise<unknown>;
  /** Of the first response on this connection: the last ones of a killed worker may be missing in its log. */
  #first: string | undefined;
  #stopped = false;

  constructor(port: number, workerOf: (id: string) => Promise<unknown>) {
    this.#port = port;
    this.#workerOf = workerOf;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      const outcome = await this.#call();
      if ("id" in outcome) {
        this.#first ??= outcome.id;
        this.served++;
      } else {
        const worker = this.#first === undefined ? undefined : await this.#workerOf(this.#first);
        this.#first = undefined;
        this.lost.push({ worker, how: outcome.how });
      }
    }
    this.#agent.destroy();
  }

  stop(): void {
    this.#stopped = true;
  }

  #call(): Promise<{ readonly id: string } | { readonly how: string }> {
    return new Promise(resolve => {
      const outgoing = request({ port: this.#port, path: "/v1/items/a", agent: this.#agent }, response => {
        response.resume();
        response.once("error", (error: NodeJS.ErrnoException) => resolve({ how: String(error.code) }));
        response.once("end", () =>
          resolve(
            response.statusCode === 200
              ? { id: String(response.headers["x-request-id"]) }
              : { how: `status ${response.statusCode}` },
          ),
        );
      });
      outgoing.once("error", (error: NodeJS.ErrnoException) => resolve({ how: String(error.code) }));
      outgoing.end();
    });
  }
}

for (const engine of ["fastify", "uws"] as const) {
  test(`a worker on ${engine} that is killed under load loses at most the request of each of its connections, and others lose none`, {
    skip: engine === "uws" && (await uwsSkipped()),
    timeout: 120_000,
  }, async t => {
    const backend = await startBackend({ "/test.v1.Echo/Get": echo });
    t.after(() => backend.close());
    const served = serve(`
listeners: { http: { address: 127.0.0.1:0, engine: ${engine} }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
server: { workers: 2, drain: 1s }`);
    t.after(() => served.close());
    const ready = await served.logged(({ msg }) => msg === "ready");
    const workerOf = async (id: string): Promise<unknown> =>
      (await served.logged(line => line.request_id === id)).worker;
    const all = Array.from({ length: callers }, () => new Caller(Number(ready.http), workerOf));
    const running = all.map(caller => caller.run());
    const progress = async (count: number): Promise<void> => {
      const aims = all.map(({ served: before }) => before + count);
      while (all.some(({ served: now }, index) => now < (aims[index] ?? 0)))
        await new Promise(resolve => setImmediate(resolve));
    };
    await progress(20);
    const { workers } = JSON.parse((await get(`http://127.0.0.1:${ready.admin}/config`)).text);
    const [{ pid, worker }] = workers;
    process.kill(pid, "SIGKILL");
    await served.logged(({ msg }) => /^another worker serves/.test(String(msg)));
    await progress(20);
    for (const caller of all) caller.stop();
    await Promise.all(running);
    const lost = all.flatMap(caller => caller.lost);
    t.diagnostic(
      `${lost.length} of ${all.reduce((sum, caller) => sum + caller.served, 0)} requests were lost`,
    );
    // One on a connection that had no response yet was given to the worker that ended.
    assert.deepEqual([...new Set(lost.map(each => each.worker ?? worker))], [worker]);
    assert.ok(lost.length <= callers, `${lost.length} of ${callers} connections`);
    assert.deepEqual([...new Set(lost.map(({ how }) => how))], ["ECONNRESET"]);
  });
}
