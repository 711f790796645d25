import assert from "node:assert/strict";
import { test } from "node:test";
import type { RoomMember } from "../../../src/realtime/brokers/broker.js";
import { ClusterPresence, type PresenceStore } from "../../../src/realtime/brokers/cluster-presence.js";

/** Keeps members in memory. @param written is called when a write is done, before whoever waits for it goes on */
function storeOf(written: () => void): PresenceStore {
  const members = new Map<string, RoomMember>();
  return {
    write: (node, changes) => {
      for (const { change } of changes) {
        if (change.entered) members.set(change.session, { session: change.session, from: change.from, node });
        else members.delete(change.session);
      }
      written();
      return Promise.resolve();
    },
    read: async () => [...members.values()],
    beat: async () => ({ state: "known", dead: [] }),
    left: async () => [],
    publish: async () => undefined,
    forget: async () => undefined,
  };
}

test("a member that enters a room while a write of presence comes to its end is written too, at whatever step that is", async () => {
  for (let step = 0; step < 12; step++) {
    let writes = 0;
    const presence = new ClusterPresence(
      storeOf(() => {
        if (++writes > 1) return;
        let left = step;
        const next = (): void => {
          if (left-- > 0) queueMicrotask(next);
          else presence.enter("r", { session: "b", from: "bob" });
        };
        queueMicrotask(next);
      }),
      60_000,
    );
    presence.enter("r", { session: "a", from: "ann" });
    await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setImmediate(resolve));
    const names = (await presence.members("r")).map(({ from }) => from);
    assert.deepEqual(names, ["ann", "bob"], `${step} steps after the write`);
    await presence.end();
  }
});
