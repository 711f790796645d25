import assert from "node:assert/strict";
import { ConnectionError } from "../../../src/h2/protocol.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { createChannel } from "../../../src/upstream/create-channel.js";
import { Recorder, randomFrames, randomNumbers, readInChunks } from "../../h2/fuzz-frames.js";
import { frameReader, hpackDecoder } from "../../h2/parts.js";
import { initialHeaders, message, okTrailers, response, settings, startRawServer } from "./raw-server.js";

/** Frames made at random are read, in pieces, or end with a ConnectionError. */
export function fuzzFrames(seed: number): void {
  const random = randomNumbers(seed);
  const cuts = Array.from({ length: 5 }, () => 1 + Math.floor(random() * 40));
  try {
    readInChunks(frameReader(new Recorder()), Buffer.concat([settings(), randomFrames(seed)]), cuts);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** Header blocks made at random are decoded by one decoder, or end with a ConnectionError. */
export function fuzzHpack(seed: number): void {
  const random = randomNumbers(seed);
  const decoder = hpackDecoder();
  try {
    for (let blocks = 0; blocks < 5; blocks++) {
      const bytes = Array.from({ length: Math.floor(random() * 60) }, () => {
        const byte = Math.floor(random() * 256);
        // Small lengths and indexes get further.
        return random() < 0.5 ? byte & 0xcf : byte;
      });
      decoder.decode(Buffer.from(bytes), 0, bytes.length, { field: () => {} });
    }
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** Calls to a server with damaged responses end, each of them, and calls to a good one meanwhile are well. */
export async function fuzzConnection(seed: number): Promise<void> {
  const random = randomNumbers(seed);
  const bad = await startRawServer(peer => {
    if (random() < 0.95) peer.send(settings());
    peer.onRequest(stream => peer.send(damaged(stream, seed, random)));
  });
  const good = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => peer.send(response(stream)));
  });
  const options = { name: "fuzz", balancing: "pick_first", maxMessageSize: 1000, transport: "lean" } as const;
  const toBad = createChannel({ ...options, targets: [bad.address] });
  const toGood = createChannel({ ...options, targets: [good.address] });
  const call = {
    path: "/fuzz.Service/Method",
    request: Buffer.from("request"),
    metadata: [],
    timeout: 100,
    retryable: false,
    cancellation: new Cancellation(),
  };
  for (let round = 0; round < 5; round++) {
    const cancellations = Array.from({ length: 10 }, () => new Cancellation());
    const calls = cancellations.map(cancellation => toBad.unary({ ...call, cancellation }));
    cancellations[3]?.cancel();
    for (const { status } of await Promise.all(calls)) assert.ok(Number.isInteger(status.code));
    const { status } = await toGood.unary({ ...call, timeout: 10_000 });
    assert.equal(status.code, 0, status.message);
  }
  await Promise.all([toBad.close(), toGood.close()]);
  await Promise.all([bad.close(), good.close()]);
}

/** A response with bytes changed, dropped or added, or frames that have nothing to do with it. */
function damaged(stream: number, seed: number, random: () => number): Buffer {
  const upTo = (max: number) => Math.floor(random() * max);
  const whole = Buffer.concat([
    initialHeaders(stream),
    ...(random() < 0.3 ? [randomFrames(seed * 1000 + stream)] : []),
    response(stream).subarray(initialHeaders(stream).length, -okTrailers(stream).length),
    ...(random() < 0.2 ? [message(Buffer.alloc(upTo(20)))] : []),
    okTrailers(stream),
  ]);
  const bytes = Buffer.from(whole);
  const kind = upTo(4);
  if (kind === 0) for (let count = 1 + upTo(3); count > 0; count--) bytes[upTo(bytes.length)] = upTo(256);
  if (kind === 1) return bytes.subarray(0, upTo(bytes.length));
  if (kind === 2) {
    const at = upTo(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + upTo(5))]);
  }
  return bytes;
}
