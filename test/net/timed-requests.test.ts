import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { TimedRequests } from "../../src/net/timed-requests.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Sends headers and one byte where the path says so, and never ends a response. */
const silent = createServer((request, response) => {
  if (request.url === "/begins") response.write("x");
});
await new Promise<void>(resolve => silent.listen(0, "127.0.0.1", resolve));
after(() => {
  silent.close();
  silent.closeAllConnections();
});
const origin = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;

function get(requests: TimedRequests, path: string, timeoutMs: number): Promise<string> {
  return requests.run(timeoutMs, async signal => (await fetch(`${origin}${path}`, { signal })).text());
}

for (const path of ["/never-begins", "/begins"]) {
  test(`a request to ${path} times out though garbage is collected while it waits`, {
    timeout: 30_000,
  }, async () => {
    const collecting = setInterval(collectGarbage, 10);
    const requests = new TimedRequests();
    const failures = await Promise.all(
      Array.from({ length: 10 }, () => get(requests, path, 200).catch(({ name }) => name)),
    );
    clearInterval(collecting);
    assert.deepEqual(new Set(failures), new Set(["TimeoutError"]));
  });

  test(`requests to ${path} are aborted by closing though garbage is collected before`, {
    timeout: 30_000,
  }, async () => {
    const requests = new TimedRequests();
    const names = Array.from({ length: 20 }, () => get(requests, path, 600_000).catch(({ name }) => name));
    while ((await connections()) < names.length) collectGarbage();
    requests.close();
    assert.deepEqual(new Set(await Promise.all(names)), new Set(["AbortError"]));
    await assert.rejects(get(requests, path, 600_000), { name: "AbortError" });
  });
}

test("a request that ends in time gives its value, or its error", async () => {
  const requests = new TimedRequests();
  assert.equal(await requests.run(600_000, async () => 7), 7);
  await assert.rejects(
    requests.run(600_000, async () => {
      throw new RangeError("no");
    }),
    RangeError,
  );
});

function connections(): Promise<number> {
  return new Promise((resolve, reject) =>
    setImmediate(() =>
      silent.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
    ),
  );
}
