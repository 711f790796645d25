import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { uwsSkipped } from "../engine.js";
import { echo, startBackend } from "../gateway/harness.js";
import { get, type Served, serve } from "./served.js";

const skipUws = await uwsSkipped();

for (const engine of ["fastify", "uws"] as const) {
  describe(`two workers that share the port of the engine ${engine}`, {
    skip: engine === "uws" && skipUws,
  }, () => {
    let backend: Awaited<ReturnType<typeof startBackend>>;
    let served: Served;
    let url: string;
    let admin: string;
    /** Where the engine makes no difference. */
    const other = { skip: engine === "uws" && "the engine makes no difference" };
    /** Calls that the backend holds back. */
    const held: (() => void)[] = [];
    const release = (): void => {
      for (const answer of held.splice(0)) answer();
    };
    let holding = (): void => undefined;

    const yaml = (service: string, rest = "", listener = "127.0.0.1:0"): string => `
listeners: { http: { address: ${listener}, engine: ${engine} }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"], timeout: 60s } }
services: [{ service: test.v1.Echo, upstream: echo${service} }]
rate_limits: { day: { requests: 20, per: 24h, key: global }, two: { concurrency: 2, key: global } }
server: { workers: 2, drain: 60s }
${rest}`;
    const config = async () => JSON.parse((await get(`${admin}/config`)).text);
    const reload = async () => {
      const { status, text } = await get(`${admin}/reload`, "POST");
      return { status, report: JSON.parse(text) };
    };
    /** The sum of the series of a metric. */
    const counted = async (name: string): Promise<number> => {
      const { text } = await get(`${admin}/metrics`);
      const lines = text
        .split("\n")
        .filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    };
    const statuses = async (path: string, count = 10): Promise<number[]> => {
      const responses = await Promise.all(Array.from({ length: count }, () => get(url + path)));
      return [...new Set(responses.map(({ status }) => status))];
    };
    /** Requests that the backend has and holds back. */
    const hold = async (count: number): Promise<Promise<number | string>[]> => {
      const sent = Array.from({ length: count }, () =>
        get(`${url}/v1/items/held`).then(
          ({ status }) => status,
          (error: NodeJS.ErrnoException) => error.code ?? error.message,
        ),
      );
      await new Promise<void>(resolve => {
        holding = () => held.length >= count && resolve();
        holding();
      });
      return sent;
    };

    before(async () => {
      backend = await startBackend({
        "/test.v1.Echo/Archive": echo,
        "/test.v1.Echo/Get": (call, reply) => {
          if (!call.request.toString().includes("held")) return echo(call, reply);
          held.push(() => echo(call, reply));
          return holding();
        },
      });
      served = serve(yaml(""));
      const ready = await served.logged(({ msg }) => msg === "ready");
      url = `http://127.0.0.1:${ready.http}`;
      admin = `http://127.0.0.1:${ready.admin}`;
      assert.equal(ready.workers, 2);
    });
    after(async () => {
      release();
      await served.close();
      await backend.close();
    });

    it("both serve connections, and /metrics counts what both have done", async () => {
      const workers = new Set<unknown>();
      let sent = 0;
      while (workers.size < 2) {
        const { status, headers } = await get(`${url}/v1/items/a`);
        assert.equal(status, 200);
        sent++;
        const line = await served.logged(each => each.request_id === headers["x-request-id"]);
        workers.add(line.worker);
        assert.ok(sent < 1000, "one worker serves all");
      }
      assert.deepEqual([...workers].sort(), [1, 2]);
      assert.equal(await counted("protogate_http_requests_total"), sent);
      assert.equal(await counted("protogate_http_request_duration_seconds_count"), sent);
      assert.equal(await counted("protogate_workers"), 2);
      assert.equal(await counted('protogate_config_reloads_total{result="success"}'), 1);
      const { status, text } = await get(`${admin}/readyz`);
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(text).checks.workers, { ok: true, message: "2 of 2 serve" });
      assert.match((await get(`${admin}/bindings`)).text, /"\/v1\/items\/\{id\}"/);
      const now = JSON.parse((await get(`${admin}/status`)).text);
      assert.deepEqual([now.routes[0].requests, now.upstreams[0].calls], [sent, sent]);
      assert.deepEqual(now.upstreams[0].endpoints[0].states, { ready: 2 });
      assert.deepEqual(
        now.workers.map((each: { worker: number }) => each.worker),
        [1, 2],
      );
      const page = await get(`${admin}/`);
      assert.match(page.text, /<title>Protogate status/);
    });

    it("a worker that is killed loses its own requests alone and is replaced, and no counter goes back", async () => {
      const counts = async () => [
        await counted("protogate_http_requests_total"),
        await counted("protogate_http_request_duration_seconds_count"),
      ];
      const sent = await hold(24);
      const [{ pid, worker }] = (await config()).workers;
      const earlier = await counts();
      process.kill(pid, "SIGKILL");
      const ended = await served.logged(line => line.pid === pid && line.level === "error");
      assert.deepEqual(
        { ...ended, time: undefined },
        {
          level: "error",
          time: undefined,
          worker,
          pid,
          how: "signal SIGKILL",
          restart_in_ms: 0,
          msg: "a worker ended unexpectedly; another is started",
        },
      );
      const kept = await counts();
      assert.ok(
        kept.every((count, index) => count >= (earlier[index] ?? 0)),
        `${earlier} then ${kept}`,
      );
      await served.logged(({ msg }) => /^another worker serves/.test(String(msg)));
      release();
      const outcomes = await Promise.all(sent);
      const lost = outcomes.filter(outcome => outcome !== 200);
      assert.ok(lost.length > 0 && lost.length < sent.length, outcomes.join());
      assert.deepEqual([...new Set(lost)], ["ECONNRESET"]);
      assert.deepEqual(await statuses("/v1/items/a"), [200]);
      const [now = 0] = await counts();
      assert.equal(now, (kept[0] ?? 0) + sent.length - lost.length + 10);
      assert.equal(await counted("protogate_worker_restarts_total"), 1);
      const { workers } = await config();
      assert.deepEqual(
        workers.map((each: { worker: number }) => each.worker),
        [1, 2],
      );
      assert.ok(workers.every((each: { pid: number }) => each.pid !== pid));
    });

    it(
      "a reload reaches both workers at once, and one that is refused neither, nor a worker that is started after it",
      other,
      async () => {
        const first = await config();
        served.write(yaml(", prefix: /v2"));
        const { status, report } = await reload();
        assert.equal(status, 200, report.error);
        assert.deepEqual(report.changed, ["services[0].prefix"]);
        assert.ok(report.routes_added.includes("GET /v2/v1/items/{id}"));
        assert.deepEqual(await statuses("/v2/v1/items/a"), [200]);
        const second = await config();
        assert.notEqual(second.hash, first.hash);
        assert.deepEqual(
          second.workers.map(({ hash }: { hash: string }) => hash),
          [second.hash, second.hash],
        );
        assert.equal(served.log.filter(line => Array.isArray(line.routes)).length, 1);

        served.write(yaml(", prefix: /v3, methods: { Nothing: { timeout: 1s } }"));
        const refused = await reload();
        assert.equal(refused.status, 422);
        assert.match(refused.report.error, /gateway\.yaml:5:\d+: error: .*"Nothing"/);
        assert.equal(refused.report.error.split("\n").length, 1);
        assert.deepEqual(await statuses("/v2/v1/items/a"), [200]);
        assert.equal((await config()).hash, second.hash);
        assert.match((await get(`${admin}/readyz`)).text, /the reload at .* failed/);
        assert.equal(await counted('protogate_config_reloads_total{result="failure"}'), 1);
        assert.equal(served.log.filter(({ msg }) => /^reload failed/.test(String(msg))).length, 1);

        // The files are still those that were refused, and the protos are broken, too.
        served.write(yaml(", prefix: /v3"), "syntax = broken");
        const replaced = (line: Readonly<Record<string, unknown>>) =>
          /^another worker serves/.test(String(line.msg));
        const known = served.log.filter(replaced).map(({ pid }) => pid);
        process.kill((await config()).workers[0].pid, "SIGKILL");
        await served.logged(line => replaced(line) && !known.includes(line.pid));
        assert.deepEqual(
          (await config()).workers.map(({ hash }: { hash: string }) => hash),
          [second.hash, second.hash],
        );
        assert.deepEqual(await statuses("/v2/v1/items/a", 20), [200]);
      },
    );

    it("a rate limit and a limit of concurrency hold for both workers together", other, async () => {
      served.write(yaml(", methods: { Archive: { rate_limit: day }, Get: { rate_limit: two } }"));
      assert.equal((await reload()).status, 200);
      const archive = async () => (await get(`${url}/v1/items/a:archive`, "POST")).status;
      let admitted = 0;
      // A worker may refuse while what the other has given back is on its way.
      for (let sent = 0; admitted < 20 && sent < 2000; sent++) if ((await archive()) === 200) admitted++;
      assert.equal(admitted, 20);
      const after = await Promise.all(Array.from({ length: 30 }, archive));
      assert.deepEqual([...new Set(after)], [429]);

      const sent: Promise<{ status: number }>[] = [];
      while (held.length < 2) {
        const before = held.length;
        const next = get(`${url}/v1/items/held`);
        sent.push(next);
        const arrived = new Promise<void>(resolve => {
          holding = () => held.length > before && resolve();
        });
        await Promise.race([next, arrived]);
      }
      assert.deepEqual(await statuses("/v1/items/held", 20), [429]);
      release();
      const ends = (await Promise.all(sent)).map(({ status }) => status).filter(status => status !== 429);
      assert.deepEqual(ends, [200, 200]);
    });

    it("SIGTERM lets the requests of both finish, then all processes end with exit code 0", async () => {
      served.write(yaml(""));
      served.signal("SIGHUP");
      await served.logged(({ msg, trigger }) => msg === "configuration reloaded" && trigger === "signal");
      const sent = await hold(24);
      const pids = (await config()).workers.map((each: { pid: number }) => each.pid);
      served.signal("SIGTERM");
      await served.logged(({ msg }) => msg === "shutting down");
      await served.logged(line => line.msg === "shutting down");
      release();
      assert.deepEqual([...new Set(await Promise.all(sent))], [200]);
      assert.equal(await served.ended, 0, served.errors());
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
      assert.equal(served.log.filter(({ msg }) => msg === "closed").length, 1);
      assert.equal(served.errors(), "");
    });

    it("a port that is in use, or a configuration that no worker can take, is one error and exit code 1", async () => {
      const taken = createServer();
      taken.listen(0, "127.0.0.1");
      await once(taken, "listening");
      const { port } = taken.address() as { port: number };
      for (const [text, error] of [
        [
          yaml("", "", `127.0.0.1:${port}`),
          /^\S+gateway\.yaml:3:31: error: 127\.0\.0\.1:\d+ is in use .*\n$/,
        ],
        [yaml(", methods: { Nothing: { timeout: 1s } }"), /^\S+gateway\.yaml:5:\d+: error: .*"Nothing".*\n$/],
      ] as const) {
        const failing = serve(text);
        assert.equal(await failing.ended, 1);
        assert.match(failing.errors(), error);
        assert.deepEqual(failing.log, []);
        await failing.close();
      }
      taken.close();
      await once(taken, "close");
    });
  });
}
