import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import type { get } from "../workers/served.js";
import type { Fault } from "./fault.js";
import { counted, echoConfig, until, withBackends, withGateway } from "./system.js";

const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

export const processFaults: readonly Fault[] = [
  {
    name: "the disk of the log is full",
    inSuite: true,
    run: () =>
      withBackends(1, async ([backend]) => {
        // Every write to it fails as on a full disk.
        const output = openSync("/dev/full", "w");
        try {
          return await withGateway(
            echoConfig([backend!.port]),
            async gateway => {
              const responses = [];
              for (let index = 0; index < 200; index++) responses.push(await gateway.get("/v1/items/1"));
              const seen = counted(responses);
              assert.equal(seen, "200 ×200");
              gateway.served.signal("SIGTERM");
              const code = await gateway.served.ended;
              assert.equal(code, 0);
              return `${seen}, exit code ${code} at SIGTERM`;
            },
            { output },
          );
        } finally {
          closeSync(output);
        }
      }),
  },
  {
    name: "the clock jumps",
    skip: () => (existsSync(faketime) ? false : "libfaketime is not installed"),
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(
          echoConfig([backend!.port]),
          async gateway => {
            const responses = [];
            for (let index = 0; index < 100; index++) responses.push(await gateway.get("/v1/items/1"));
            const seen = counted(responses);
            assert.equal(seen, "200 ×100");
            return `${seen} while a second of the clock lasts an hour`;
          },
          {
            // The program of that name would be its parent, and outlived by it.
            within: ["env", `LD_PRELOAD=${faketime}`, "FAKETIME=+0 x3600", "FAKETIME_DONT_FAKE_MONOTONIC=1"],
          },
        ),
      ),
  },
  {
    name: "the event loop stands still",
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(echoConfig([backend!.port]), async gateway => {
          const running = Array.from({ length: 50 }, () => gateway.get("/v1/items/1"));
          gateway.served.signal("SIGSTOP");
          const later = Array.from({ length: 50 }, () => gateway.get("/v1/items/2"));
          await new Promise(resolve => setTimeout(resolve, 1500));
          gateway.served.signal("SIGCONT");
          const seen = await Promise.all([...running, ...later]);
          assert.ok(
            seen.every(({ status }) => status === 200 || status === 504),
            counted(seen),
          );
          await until(() => gateway.get("/v1/items/1"), 200);
          return `after 1.5 s: ${counted(seen)}, then 200`;
        }),
      ),
  },
  {
    name: "little memory is left",
    run: () =>
      withBackends(1, ([backend]) => {
        const limits = "http: { limits: { body: 4MiB } }\n";
        return withGateway(
          echoConfig([backend!.port]) + limits,
          async gateway => {
            const large = JSON.stringify({ id: "x".repeat(3 << 20) });
            const responses = [];
            for (let index = 0; index < 30; index++) responses.push(await post(gateway.port, large));
            const small = await gateway.get("/v1/items/1");
            assert.equal(small.status, 200);
            assert.ok(
              responses.every(({ status }) => status < 500),
              counted(responses),
            );
            return `bodies of 3 MiB with a heap of 96 MiB: ${counted(responses)}; a small request: 200`;
          },
          { nodeOptions: ["--max-old-space-size=96"] },
        );
      }),
  },
  {
    name: "a worker is killed",
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(`${echoConfig([backend!.port])}server: { workers: 2 }\n`, async gateway => {
          const [worker] = childrenOf(gateway.served.pid);
          assert.ok(worker !== undefined, "no worker is found");
          process.kill(worker, "SIGKILL");
          await gateway.served.logged(({ msg }) => /worker/i.test(String(msg)) && /start/i.test(String(msg)));
          const responses = [];
          for (let index = 0; index < 100; index++)
            responses.push(await gateway.get("/v1/items/1").catch((error: Error) => error));
          while ((await gateway.metric(/^protogate_workers (\d)/m)) !== 2);
          const restarts = await gateway.metric(/^protogate_worker_restarts_total (\d+)/m);
          assert.equal(restarts, 1);
          const seen = counted(responses);
          assert.equal(seen, "200 ×100");
          return `${seen} afterwards, ${restarts} restart`;
        }),
      ),
  },
  {
    name: "SIGTERM comes under load",
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(echoConfig([backend!.port]), async gateway => {
          const agent = new Agent({ keepAlive: true, maxSockets: 20 });
          const counts = { served: 0, refused: 0 };
          const failures: string[] = [];
          let over = false;
          const client = async (): Promise<void> => {
            while (!over) {
              const outcome = await ask(gateway.port, agent);
              if (outcome === 200) counts.served++;
              else if (outcome === "ECONNREFUSED") {
                counts.refused++;
                return;
              } else failures.push(String(outcome));
            }
          };
          const clients = Array.from({ length: 20 }, client);
          while (counts.served < 200) await new Promise(resolve => setTimeout(resolve, 10));
          gateway.served.signal("SIGTERM");
          const code = await gateway.served.ended;
          over = true;
          await Promise.all(clients);
          agent.destroy();
          assert.equal(failures.length, 0, `failed: ${failures.slice(0, 5).join(", ")}`);
          assert.equal(code, 0);
          return `${counts.served} requests served, none failed until the port was closed, exit code 0`;
        }),
      ),
  },
];

function post(port: number, body: string): ReturnType<typeof get> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const options = { port, host: "127.0.0.1", path: "/v1/items", method: "POST", headers, agent: false };
    const outgoing = request(options, response => {
      response.resume();
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: "" }),
      );
    });
    outgoing.on("error", reject).end(body);
  });
}

/** The status, or the code of the error. */
function ask(port: number, agent: Agent): Promise<number | string> {
  return new Promise(resolve => {
    const outgoing = request({ port, host: "127.0.0.1", path: "/v1/items/1", agent }, response => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.on("error", error => resolve(error.message));
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message)).end();
  });
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(each => {
      try {
        const [, rest = ""] = readFileSync(`/proc/${each}/stat`, "utf8").split(") ");
        return Number(rest.split(" ")[1]) === pid;
      } catch {
        return false;
      }
    });
}
