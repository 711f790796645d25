import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Message, Replay, RoomPosition } from "../../../src/realtime/brokers/broker.js";
import { HoldingSpace, RoomFeed } from "../../../src/realtime/brokers/room-feed.js";
import { createRecorder, type Recorder } from "./recorder.js";

function message(seq: number, epoch = "e1"): Message {
  return { epoch, seq, text: `{"seq":${seq}}`, at: 0 };
}

/** What the recorder got, in short: `3`, `gap 4-6`, with the epoch where it is not e1. */
function short(recorder: Recorder): string[] {
  return recorder.all.map(entry => {
    if (entry.kind === "message")
      return `${entry.message.epoch === "e1" ? "" : `${entry.message.epoch}:`}${entry.message.seq}`;
    return entry.kind === "gap"
      ? `gap ${entry.epoch === "e1" ? "" : `${entry.epoch}:`}${entry.from}-${entry.to}`
      : entry.kind;
  });
}

/** A feed whose reads are answered by hand. */
function setup(space = 10_000) {
  const recorder = createRecorder();
  const reads: { after: RoomPosition; answer(replay: Replay): Promise<void> }[] = [];
  const read = (after: RoomPosition): Promise<Replay> =>
    new Promise(resolve => {
      reads.push({
        after,
        answer: replay => {
          resolve(replay);
          return new Promise(done => setImmediate(done));
        },
      });
    });
  return { recorder, reads, feed: new RoomFeed("r", recorder, read, new HoldingSpace(space)) };
}

function replay(to: number, messages: readonly number[], epoch = "e1"): Replay {
  return {
    position: { epoch, seq: to },
    recovered: true,
    messages: messages.map(seq => message(seq, epoch)),
  };
}

test("messages that arrive before the position is known are delivered from that position on", () => {
  const { recorder, feed } = setup();
  for (const seq of [4, 5, 6]) feed.message(message(seq));
  feed.open({ epoch: "e1", seq: 4 });
  feed.message(message(7));
  assert.deepEqual(short(recorder), ["5", "6", "7"]);
});

test("a message that comes twice is delivered once", () => {
  const { recorder, feed } = setup();
  feed.open({ epoch: "e1", seq: 0 });
  for (const seq of [1, 2, 1, 2, 3]) feed.message(message(seq));
  assert.deepEqual(short(recorder), ["1", "2", "3"]);
});

test("a hole is filled from the history, before what follows it", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 0 });
  feed.message(message(1));
  feed.message(message(4));
  feed.message(message(5));
  assert.deepEqual(reads[0]?.after, { epoch: "e1", seq: 1 });
  await reads[0]?.answer(replay(4, [2, 3, 4]));
  assert.deepEqual(short(recorder), ["1", "2", "3", "4", "5"]);
  assert.equal(feed.current, true);
});

test("messages that the history lacks are a gap", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 2 });
  feed.catchUp();
  await reads[0]?.answer(replay(9, [7, 8, 9]));
  assert.deepEqual(short(recorder), ["gap 3-6", "7", "8", "9"]);
});

test("a room feed without history still delivers what arrived during the subscription", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 2 });
  feed.message(message(5));
  await reads[0]?.answer(replay(5, []));
  feed.message(message(6));
  assert.deepEqual(short(recorder), ["gap 3-4", "5", "6"]);
});

test("a room with a new epoch is delivered from its first message on", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 57 });
  feed.message(message(3, "e2"));
  await reads[0]?.answer(replay(3, [2, 3], "e2"));
  feed.message(message(4, "e2"));
  assert.deepEqual(short(recorder), ["gap e2:1-1", "e2:2", "e2:3", "e2:4"]);
  feed.message(message(1, "e3"));
  assert.equal(short(recorder).at(-1), "e3:1");
});

test("messages of a new epoch that came before a node received the room again are delivered", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 57 });
  feed.catchUp();
  await reads[0]?.answer(replay(9, [], "e2"));
  assert.deepEqual(reads[1]?.after, { epoch: "e2", seq: 0 });
  await reads[1]?.answer(replay(9, [8, 9], "e2"));
  assert.deepEqual(short(recorder), ["gap e2:1-7", "e2:8", "e2:9"]);
});

test("a room that the server forgot goes on with its next message", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 57 });
  feed.catchUp();
  await reads[0]?.answer(replay(0, [], "zz"));
  feed.message(message(1, "e2"));
  assert.deepEqual(short(recorder), ["e2:1"]);
});

test("a message that no history explains is delivered after a gap, and reading ends", async () => {
  const { recorder, feed, reads } = setup();
  feed.open({ epoch: "e1", seq: 1 });
  feed.message(message(5, "e2"));
  await reads[0]?.answer(replay(0, [], "zz"));
  await reads[1]?.answer(replay(0, [], "zz"));
  assert.equal(reads.length, 2);
  assert.deepEqual(short(recorder), ["gap e2:1-4", "e2:5"]);
});

test("more than may be held is read again instead", async () => {
  const { recorder, feed, reads } = setup(30);
  feed.open({ epoch: "e1", seq: 0 });
  feed.catchUp();
  for (let seq = 1; seq <= 20; seq++) feed.message(message(seq));
  await reads[0]?.answer(replay(2, [1, 2]));
  await reads[1]?.answer(replay(20, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]));
  assert.deepEqual(
    short(recorder),
    Array.from({ length: 20 }, (_, index) => String(index + 1)),
  );
});

test("every number of a room feed is delivered once or in a gap, in order, with any messages lost or doubled", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ lost: fc.boolean(), twice: fc.boolean(), cut: fc.boolean() }), { maxLength: 40 }),
      fc.integer({ min: 0, max: 10 }),
      async (steps, kept) => {
        const { recorder, feed, reads } = setup(200);
        feed.open({ epoch: "e1", seq: 0 });
        let head = 0;
        const answer = async (): Promise<void> => {
          const { after, answer } = reads.shift() ?? {};
          if (after === undefined) return;
          const first = Math.max(after.seq, head - kept) + 1;
          await answer?.(
            replay(
              head,
              Array.from({ length: Math.max(0, head - first + 1) }, (_, i) => first + i),
            ),
          );
        };
        for (const { lost, twice, cut } of steps) {
          head++;
          if (!lost) feed.message(message(head));
          if (twice) feed.message(message(head));
          if (cut) feed.catchUp();
          if (reads.length > 0 && head % 3 === 0) await answer();
        }
        feed.catchUp();
        while (reads.length > 0) await answer();
        let next = 1;
        for (const entry of recorder.all) {
          if (entry.kind === "message") assert.equal(entry.message.seq, next++);
          if (entry.kind !== "gap") continue;
          assert.equal(entry.from, next);
          next = entry.to + 1;
        }
        assert.equal(next, head + 1);
      },
    ),
  );
});
