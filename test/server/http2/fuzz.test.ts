import assert from "node:assert/strict";
import { test } from "node:test";
import { Flag, FrameType } from "../../../src/h2/protocol.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import { randomNumbers } from "../../h2/fuzz-frames.js";
import { block, frame, settings, uint32 } from "../../upstream/h2/raw-server.js";
import { onLoopback } from "../loopback.js";
import { get, getFields, post, preface, RawClient } from "./raw-client.js";

/** Frames that a client may send, and some that it may not, on few streams so that they meet. */
function randomFrame(random: () => number): Buffer {
  const pick = (count: number): number => Math.floor(random() * count);
  const stream = 1 + 2 * pick(12);
  const bytes = Buffer.from(Array.from({ length: pick(40) }, () => pick(256)));
  const end = pick(3) === 0 ? Flag.EndStream : 0;
  switch (pick(16)) {
    case 0:
    case 1:
    case 2:
      return get(stream);
    case 3:
    case 4:
      return post(stream, pick(3) === 0 ? { "content-length": String(pick(40)) } : {});
    case 5:
    case 6:
    case 7:
      return frame(FrameType.Data, end, stream, bytes);
    case 8:
      return frame(FrameType.RstStream, 0, stream, uint32(pick(14)));
    case 9:
      return frame(FrameType.WindowUpdate, 0, pick(2) * stream, uint32(pick(100_000)));
    case 10:
      return settings([4, pick(100_000)]);
    case 11:
      return frame(FrameType.Ping, pick(2), 0, Buffer.alloc(8));
    case 12:
      return frame(FrameType.Headers, Flag.EndHeaders | end, stream, block([["x-trailer", "1"]]));
    case 13:
      return frame(
        FrameType.Headers,
        Flag.EndHeaders | end,
        stream,
        Buffer.concat([block(getFields()), bytes]),
      );
    case 14:
      return frame(pick(12), pick(256), pick(2) * stream, bytes);
    default:
      return bytes;
  }
}

test("random frames of clients end in responses or in errors of theirs, and nothing of them is left", async () => {
  let open = 0;
  const crashes: unknown[] = [];
  const engine = await startFastifyEngine({
    ...onLoopback,
    http2: true,
    crashed: error => void crashes.push(error),
    handle: (request, response) => {
      open++;
      const over = (): void => {
        open--;
      };
      request.stream(1000).start({
        chunk: () => undefined,
        end: () => {
          over();
          const writer = response.open(200, []);
          writer.write(Buffer.alloc(100));
          writer.end([["x-end", "1"]]);
        },
        fail: () => {
          over();
          response.send(400, [], "failed");
        },
      });
    },
  });
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomNumbers(seed);
    const frames = Array.from({ length: 40 }, () => randomFrame(random));
    const client = await RawClient.open(engine.port, Buffer.concat([preface, settings(), ...frames]));
    client.socket.end();
    await client.closed;
  }
  const client = await RawClient.open(engine.port);
  client.send(get(1));
  assert.equal(await client.status(1), "200");
  client.destroy();
  assert.deepEqual(crashes, []);
  engine.destroy();
  await engine.close();
  assert.equal(open, 0);
});
