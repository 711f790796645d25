import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ClosedLoop } from "../../bench/load/closed-loop.js";
import { Connection } from "../../bench/load/connection.js";
import type { Loop, LoopPlan } from "../../bench/load/loop.js";
import { OpenLoop } from "../../bench/load/open-loop.js";

const request = Buffer.from("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
const minute = 60_000;

interface Outcome {
  readonly latencies: readonly number[];
  readonly failure: Error | undefined;
}

type MakeLoop = (plan: LoopPlan, fail: (error: Error) => void) => Loop;

/** Runs a loop against a server of its own until it is finished or fails. */
async function run(
  makeLoop: MakeLoop,
  { connections: count, requests }: { readonly connections: number; readonly requests: number },
  answer: RequestListener = (_request, response) => response.end("ok"),
): Promise<Outcome> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const latencies: number[] = [];
  let connections: Connection[] = [];
  const failure = await new Promise<Error | undefined>(resolve => {
    let missing = count;
    let loop: Loop;
    const listener = {
      connected: () => {
        missing -= 1;
        if (missing === 0) loop.start();
      },
      answered: (connection: Connection) => loop.answered(connection),
      broken: resolve,
    };
    const buffer = Buffer.alloc(4096);
    connections = Array.from(
      { length: count },
      () => new Connection({ port, encrypted: false }, () => request, buffer, listener),
    );
    const plan = {
      connections,
      milliseconds: minute,
      requests,
      took: (latency: number) => void latencies.push(latency),
      finished: () => resolve(undefined),
    };
    loop = makeLoop(plan, resolve);
  });
  for (const connection of connections) connection.close();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  return { latencies, failure };
}

const closed: MakeLoop = plan => new ClosedLoop(plan);
const open =
  (rate: number): MakeLoop =>
  (plan, fail) =>
    new OpenLoop(plan, rate, fail);

for (const [name, makeLoop] of [
  ["a closed loop", closed],
  ["an open loop", open(2000)],
] as const) {
  test(`${name} sends as many requests as it may, and ends when all have a response`, async () => {
    const { latencies, failure } = await run(makeLoop, { connections: 4, requests: 50 });
    assert.equal(failure, undefined);
    assert.equal(latencies.length, 50);
  });

  test(`${name} uses no more connections than there are requests`, async () => {
    const { latencies } = await run(makeLoop, { connections: 4, requests: 2 });
    assert.equal(latencies.length, 2);
  });
}

test("the time that a request of an open loop waits for a connection is part of its latency", async () => {
  // All are due at once, and one connection answers them one after the other.
  const { latencies } = await run(open(1_000_000_000), { connections: 1, requests: 20 });
  assert.deepEqual(
    latencies,
    latencies.toSorted((a, b) => a - b),
  );
  assert.ok((latencies.at(-1) ?? 0) > (latencies[0] ?? 0));
});

test("an open loop gives up on a server that does not keep the rate", async () => {
  const never: RequestListener = () => undefined;
  const { failure } = await run(open(50_000_000), { connections: 2, requests: 1_000_000 }, never);
  assert.match(failure?.message ?? "", /requests wait: the server does not keep 50000000 a second/);
});
