import assert from "node:assert/strict";
import { test } from "node:test";
import type { RoomChange } from "../../../src/realtime/brokers/cluster-presence.js";
import type { NatsLink } from "../../../src/realtime/brokers/nats-link.js";
import { NatsPresence } from "../../../src/realtime/brokers/nats-presence.js";
import { NodeMembers } from "../../../src/realtime/brokers/node-members.js";
import { newSession } from "../../../src/realtime/rooms/local-hub.js";

/** Counts how often its members are looked at. */
class CountedMembers extends NodeMembers {
  looks = 0;

  override of(room: string): ReadonlyMap<string, string> {
    const members = super.of(room);
    const count = (): void => void this.looks++;
    return new (class extends Map<string, string> {
      override *[Symbol.iterator](): MapIterator<[string, string]> {
        for (const entry of super.entries()) {
          count();
          yield entry;
        }
      }
    })(members);
  }
}

test("a write of presence to NATS looks at each member of a room once, however many of them have changed", async () => {
  const stored = new Map<string, string>();
  const messages = {
    publish: async (subject: string, text: string): Promise<void> => void stored.set(subject, text),
  };
  const link = {
    execute: <T>(act: (nats: object) => Promise<T>): Promise<T> => act({ messages, streams: {} }),
    nats: { connection: { publish: () => undefined, flush: async () => undefined } },
  };
  const presence = new NatsPresence(link as unknown as NatsLink, "p", 1000, 15_000);
  const here = new CountedMembers();
  const changes: RoomChange[] = [];
  for (let index = 0; index < 3000; index++) {
    const session = newSession();
    const from = `member ${index}`;
    here.add("", { session, from });
    if (index >= 2500) {
      const change = { session, from, node: "n", entered: true, again: false, at: 0, of: undefined };
      changes.push({ room: "", change });
    }
  }
  here.looks = 0;
  await presence.write("n", changes, here);
  assert.ok(here.looks <= 3000, `${here.looks} members looked at`);
  assert.ok(stored.size > 50 && stored.size <= 64, `${stored.size} parts`);
  const members = new Map([...stored.values()].flatMap(text => JSON.parse(text) as [string, string][]));
  for (const { change } of changes) assert.equal(members.get(change.session), change.from);
  assert.deepEqual(new Map([...here.of("")].filter(([session]) => !members.has(session))), new Map());
});
