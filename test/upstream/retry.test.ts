import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { Code } from "../../src/status/code.js";
import { pushback, RetryBudget } from "../../src/upstream/call/retry.js";
import type { RetryOptions } from "../../src/upstream/options.js";
import { openChannel, refusingAddress, startBackend, type UnaryHandler, unaryCall } from "./backend.js";

const policy: RetryOptions = { attempts: 3, on: [Code.UNAVAILABLE], backoff: 1, maxBackoff: 2, budget: 1 };

const unavailable: UnaryHandler = (_call, reply) => reply({ code: status.UNAVAILABLE, details: "busy" });

test("a retryable call is sent until it succeeds", async () => {
  const previous: string[] = [];
  const retried: number[] = [];
  let finished = 0;
  const backend = await startBackend({
    unary: (call, reply) => {
      previous.push(call.metadata.get("grpc-previous-rpc-attempts").join());
      if (previous.length < 3) unavailable(call, reply);
      else reply(null, call.request);
    },
  });
  const observer = {
    started: () => {},
    finished: () => {
      finished++;
    },
    retried: (_path: string, code: number) => {
      retried.push(code);
    },
    resent: () => {},
  };
  const channel = openChannel([backend.address], { retry: policy }, observer);
  const result = await channel.unary(unaryCall({ retryable: true }));
  assert.equal(result.status.code, Code.OK);
  assert.equal(String(result.message), "hello");
  assert.equal(result.attempts, 3);
  assert.deepEqual(previous, ["", "1", "2"]);
  assert.deepEqual(retried, [Code.UNAVAILABLE, Code.UNAVAILABLE]);
  assert.equal(finished, 1);
  await channel.close();
  backend.stop();
});

test("a call is sent at most `attempts` times and ends with the last failure", async () => {
  const backend = await startBackend({ unary: unavailable });
  const channel = openChannel([backend.address], { retry: policy });
  const result = await channel.unary(unaryCall({ retryable: true }));
  assert.deepEqual(result.status, { code: Code.UNAVAILABLE, message: "busy", origin: "backend" });
  assert.equal(result.attempts, 3);
  assert.equal(backend.calls, 3);
  await channel.close();
  backend.stop();
});

test("a call that may not be repeated is sent once", async () => {
  const backend = await startBackend({ unary: unavailable });
  const channel = openChannel([backend.address], { retry: policy });
  const result = await channel.unary(unaryCall({ retryable: false }));
  assert.equal(result.attempts, 1);
  assert.equal(backend.calls, 1);
  await channel.close();
  backend.stop();
});

test("a code that is not listed is not retried", async () => {
  const backend = await startBackend({ unary: (_call, reply) => reply({ code: status.ABORTED }) });
  const channel = openChannel([backend.address], { retry: policy });
  assert.equal((await channel.unary(unaryCall({ retryable: true }))).attempts, 1);
  await channel.close();
  backend.stop();
});

test("a retry goes to another endpoint where there is one", async () => {
  const bad = await startBackend({ unary: unavailable });
  const good = await startBackend();
  for (const balancing of ["round_robin", "least_request", "pick_first"] as const) {
    const channel = openChannel([bad.address, good.address], {
      balancing,
      retry: { ...policy, attempts: 2 },
    });
    // As many as any budget allows: a slow machine lets a call count for less before its retry is taken.
    for (let call = 0; call < 3; call++) {
      const result = await channel.unary(unaryCall({ retryable: true }));
      assert.equal(result.status.code, Code.OK, balancing);
    }
    await channel.close();
  }
  bad.stop();
  good.stop();
});

test("retries stay within the budget", async () => {
  const backend = await startBackend({ unary: unavailable });
  const channel = openChannel([backend.address], { retry: { ...policy, attempts: 5, budget: 0.2 } });
  const calls = 40;
  for (let call = 0; call < calls; call++) await channel.unary(unaryCall({ retryable: true }));
  // What was first in the window may have faded by the end of a slow run, but not by much.
  assert.ok(backend.calls >= calls + 3 && backend.calls <= calls * 1.2 + 3, `${backend.calls} calls`);
  await channel.close();
  backend.stop();
});

test("a retry budget of 0 forbids retries", async () => {
  const backend = await startBackend({ unary: unavailable });
  const channel = openChannel([backend.address], { retry: { ...policy, budget: 0 } });
  assert.equal((await channel.unary(unaryCall({ retryable: true }))).attempts, 1);
  await channel.close();
  backend.stop();
});

test("a retry whose pause would pass the deadline is not made", async () => {
  const backend = await startBackend({ unary: unavailable });
  const channel = openChannel([backend.address], {
    retry: { ...policy, backoff: 60_000, maxBackoff: 60_000 },
  });
  const result = await channel.unary(unaryCall({ retryable: true, timeout: 5_000 }));
  assert.equal(result.status.origin, "backend");
  assert.equal(result.attempts, 1);
  await channel.close();
  backend.stop();
});

for (const [text, attempts] of [
  ["0", 3],
  ["-1", 1],
  ["soon", 1],
] as const) {
  test(`grpc-retry-pushback-ms: ${text} makes ${attempts} attempts`, async () => {
    const backend = await startBackend({
      unary: (_call, reply) => {
        const metadata = new Metadata();
        metadata.set("grpc-retry-pushback-ms", text);
        reply({ code: status.UNAVAILABLE, metadata });
      },
    });
    const channel = openChannel([backend.address], {
      retry: { ...policy, backoff: 4_000, maxBackoff: 4_000 },
    });
    assert.equal((await channel.unary(unaryCall({ retryable: true }))).attempts, attempts);
    await channel.close();
    backend.stop();
  });
}

test("a retryable call survives a moment without any endpoint", async () => {
  const address = await refusingAddress();
  const retries: number[] = [];
  let backend: Awaited<ReturnType<typeof startBackend>> | undefined;
  const channel = openChannel(
    [address],
    { retry: { attempts: 10, on: [Code.UNAVAILABLE], backoff: 100, maxBackoff: 800, budget: 1 } },
    {
      started: () => {},
      finished: () => {},
      retried: async (_path, code) => {
        retries.push(code);
        if (retries.length === 1) backend = await startBackend({ port: Number(address.split(":")[1]) });
      },
      resent: () => {},
    },
  );
  // The floor of the budget allows three retries; calls made beside widen it.
  const others = Array.from({ length: 10 }, () => channel.unary(unaryCall()));
  const result = await channel.unary(unaryCall({ retryable: true }));
  await Promise.all(others);
  assert.equal(result.status.code, Code.OK, result.status.message);
  assert.equal(result.attempts, 1);
  await channel.close();
  backend?.stop();
});

test("a retry budget grows with calls and fades with time", () => {
  let now = 0;
  const budget = new RetryBudget(0.5, () => now);
  const takeAll = () => {
    let taken = 0;
    while (budget.takeRetry()) taken++;
    return taken;
  };
  assert.equal(takeAll(), 3);
  for (let call = 0; call < 20; call++) budget.countCall();
  assert.equal(takeAll(), 7);
  now += 3_600_000;
  assert.equal(takeAll(), 3);
});

test("grpc-retry-pushback-ms is read as milliseconds, and anything else means never", () => {
  assert.equal(pushback([]), undefined);
  assert.equal(pushback([["grpc-retry-pushback-ms", "250"]]), 250);
  for (const text of ["", "-1", "1.5", "99999999999"])
    assert.equal(pushback([["grpc-retry-pushback-ms", text]]), "never");
});
