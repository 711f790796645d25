import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cancellation } from "../../src/net/cancellation.js";
import {
  relaySessions,
  SessionRelay,
  type SessionRequest,
} from "../../src/realtime/fallback/session-relay.js";
import { workerInProcess } from "./in-process.js";

/** The relays of two workers, whose primary is in this process too. */
function relays(): readonly [SessionRelay, SessionRelay] {
  const [first, second] = [workerInProcess(1), workerInProcess(2)];
  const serving = [first.worker, second.worker];
  relaySessions({ serving, onForked: handle => serving.forEach(handle) });
  return [new SessionRelay(first.open(), 1), new SessionRelay(second.open(), 2)];
}

function poll(number: number): SessionRequest {
  return { action: "poll", secret: "2.secret", number, body: new Uint8Array(0) };
}

describe("requests for a session of another worker", () => {
  it("a poll whose client leaves is cancelled at the worker that has its session, and no other poll is", async () => {
    const [near, far] = relays();
    const waiting: { readonly number: number; respond(body: string): void }[] = [];
    let allWait = (): void => undefined;
    const arrived = new Promise<void>(resolve => {
      allWait = resolve;
    });
    far.respond(({ number }, cancellation) => {
      const response = new Promise<string>(resolve => {
        waiting.push({ number, respond: resolve });
        cancellation.listen(() => resolve(`poll ${number} is cancelled`));
      });
      if (waiting.length === 2) allWait();
      return response;
    });
    const left = new Cancellation();
    const first = near.pass(poll(1), left);
    const second = near.pass(poll(2), new Cancellation());
    await arrived;
    left.cancel();
    assert.equal(await first, "poll 1 is cancelled");
    waiting.find(({ number }) => number === 2)?.respond("frames");
    assert.equal(await second, "frames");
  });

  it("a poll whose client has left before it is passed on is cancelled too", async () => {
    const [near, far] = relays();
    far.respond(
      (_request, cancellation) => new Promise(resolve => cancellation.listen(() => resolve("cancelled"))),
    );
    const left = new Cancellation();
    left.cancel();
    assert.equal(await near.pass(poll(1), left), "cancelled");
  });
});
