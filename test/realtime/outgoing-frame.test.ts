import assert from "node:assert/strict";
import { test } from "node:test";
import { OutgoingFrame } from "../../src/realtime/fallback/outgoing-frame.js";

test("streams that are sent the same frames share one text of their events, and others have their own", () => {
  const [a, b, c] = ['"a"', '"é"', '"c"'].map(text => new OutgoingFrame(text)) as [
    OutgoingFrame,
    OutgoingFrame,
    OutgoingFrame,
  ];
  const together = a.event.followedBy(b.event);
  assert.equal(together.text, 'data: "a"\n\ndata: "é"\n\n');
  assert.equal(together.bytes, Buffer.byteLength(together.text));
  assert.equal(a.event.followedBy(b.event), together);
  assert.equal(together.followedBy(c.event), a.event.followedBy(b.event).followedBy(c.event));
  assert.equal(a.event.followedBy(c.event).text, 'data: "a"\n\ndata: "c"\n\n');
  assert.equal(a.event.followedBy(b.event).text, together.text);
});

test("a frame with line ends between its tokens is one event of several lines", () => {
  const { event, bytes } = new OutgoingFrame('{\r\n"a":\r1\n}');
  assert.equal(event.text, 'data: {\ndata: "a":\ndata: 1\ndata: }\n\n');
  assert.deepEqual([event.bytes, bytes], [event.text.length, 11]);
});
