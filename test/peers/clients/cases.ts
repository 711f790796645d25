import assert from "node:assert/strict";
import { it } from "node:test";
import type { KindsBackend } from "./backend.js";
import { type KindsClient, type KindsMethod, tag } from "./call.js";

const kindOf: Record<KindsMethod, string> = {
  Unary: "a unary call",
  Server: "a server stream",
  Client: "a client stream",
  Bidi: "a bidi stream",
};

const responses = {
  Unary: [{ text: "a", count: 2 }],
  Server: [1, 2].map(count => ({ text: "a", count })),
  Client: [{ text: "a b", count: 2 }],
  Bidi: ["a", "b"].map((text, index) => ({ text, count: index + 1 })),
};

/** Declares tests of all that a client can do: each kind of call, each way to end. */
export function itCallsInEveryWay(
  name: string,
  kinds: readonly KindsMethod[],
  backend: () => KindsBackend,
  client: () => KindsClient,
): void {
  for (const method of kinds) {
    const streams = method === "Client" || method === "Bidi";

    it(`${kindOf[method]} by ${name} gets its responses with metadata on both ends`, async () => {
      const requests = streams ? [{ text: "a" }, { text: "b" }] : [{ text: "a", count: 2 }];
      const { reason, ...outcome } = await client().call({ method, requests });
      const expected = { code: 0, message: "", initial: tag, trailing: "last" };
      assert.deepEqual(outcome, { ...expected, responses: responses[method] });
    });

    it(`${kindOf[method]} by ${name} fails with the code, message and details of the backend`, async () => {
      const requests = streams
        ? [{ text: "a" }, { code: 9 }]
        : [{ text: "a", code: 9, count: method === "Server" ? 2 : 0 }];
      // Some clients hide the initial metadata of what fails.
      const { initial = tag, ...outcome } = await client().call({ method, requests });
      const before =
        method === "Server" ? responses.Server : method === "Bidi" ? responses.Bidi.slice(0, 1) : [];
      const expected = { code: 9, message: "as told ☃", reason: "TOLD", trailing: "last" };
      assert.deepEqual([initial, outcome], [tag, { ...expected, responses: before }]);
    });

    it(`${kindOf[method]} by ${name} is cancelled at the backend when the client cancels it`, async () => {
      const cancelAfter = method === "Server" || method === "Bidi" ? 1 : 0;
      const requests = [{ text: "a", count: 1, hang: true }];
      const { code } = await client().call({ method, requests, cancelAfter });
      assert.equal(code, 1);
      await backend().idle();
    });
  }

  it(`calls by ${name} end at their deadline, and are over at the backend`, async () => {
    const requests = [{ text: "a", hang: true }];
    const calls = kinds.map(method => client().call({ method, requests, timeoutMs: 300 }));
    const codes = (await Promise.all(calls)).map(({ code }) => code);
    assert.deepEqual(
      codes,
      kinds.map(() => 4),
    );
    await backend().idle();
  });
}
