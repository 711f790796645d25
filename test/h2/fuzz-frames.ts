import type { FrameReader, FrameSink } from "../../src/h2/frame-reader.js";
import { frame } from "../upstream/h2/raw-server.js";

/** Notes what a reader finds, in words. */
export class Recorder implements FrameSink {
  readonly #events: string[] = [];

  onData(stream: number, bytes: Buffer, from: number, to: number, consumed: number, end: boolean): void {
    this.#events.push(`data ${stream} ${consumed} ${bytes.toString("hex", from, to)}${end ? " end" : ""}`);
  }

  onHeaders(stream: number, block: Buffer, from: number, to: number, end: boolean): void {
    this.#events.push(`headers ${stream} ${block.toString("hex", from, to)} ${end}`);
  }

  onReset(stream: number, code: number): void {
    this.#events.push(`reset ${stream} ${code}`);
  }

  onSettings(bytes: Buffer, from: number, to: number): void {
    this.#events.push(`settings ${bytes.toString("hex", from, to)}`);
  }

  onSettingsAck(): void {
    this.#events.push("settings ack");
  }

  onPing(ack: boolean, bytes: Buffer, from: number): void {
    this.#events.push(`ping ${ack} ${bytes.toString("hex", from, from + 8)}`);
  }

  onGoAway(lastStream: number, code: number, debug: string): void {
    this.#events.push(`goaway ${lastStream} ${code} ${debug}`);
  }

  onWindowUpdate(stream: number, increment: number): void {
    this.#events.push(`window ${stream} ${increment}`);
  }

  onIgnored(): void {
    this.#events.push("ignored");
  }

  /** The events; those of DATA joined where one stream's follow each other, as far as the stream goes. */
  joined(): string[] {
    const result: string[] = [];
    for (const event of this.#events) {
      const last = result.at(-1) ?? "";
      const [kind, stream, consumed, bytes = "", end] = event.split(" ");
      const before = last.split(" ");
      if (kind === "data" && before[0] === "data" && before[1] === stream && before[4] === undefined) {
        const sum = Number(before[2]) + Number(consumed);
        result[result.length - 1] =
          `data ${stream} ${sum} ${before[3]}${bytes}${end === undefined ? "" : " end"}`;
      } else {
        result.push(event);
      }
    }
    return result;
  }
}

/** Reads bytes in chunks of these sizes, again and again. */
export function readInChunks(reader: FrameReader, bytes: Buffer, cuts: readonly number[]): void {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = cuts.length === 0 ? bytes.length : cuts[index % cuts.length]!;
    // Longer than what counts, as the buffer of a socket is.
    const chunk = Buffer.alloc(size + 7, 0xee);
    const count = bytes.copy(chunk, 0, at, at + size);
    reader.read(chunk, count);
    at += count;
  }
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Frames that are nearly right: real types, small ids, payloads of the right size most of the time. */
export function randomFrames(seed: number): Buffer {
  const random = randomNumbers(seed);
  const upTo = (max: number) => Math.floor(random() * max);
  const sizes = [20, 30, 5, 4, 6 * upTo(4), 10, 8, 8 + upTo(10), 4, 20];
  const frames: Buffer[] = [];
  for (let count = upTo(40); count >= 0; count--) {
    const type = upTo(11);
    const size = random() < 0.9 ? (sizes[type] ?? 10) : upTo(60);
    const ofConnection = type === 4 || type === 6 || type === 7;
    const stream = random() < 0.95 ? (ofConnection ? 0 : 1 + 2 * upTo(3)) : upTo(6);
    const payload = Buffer.from(Array.from({ length: size }, () => (random() < 0.5 ? upTo(8) : upTo(256))));
    frames.push(frame(type, random() < 0.7 ? [0, 1, 4, 5][upTo(4)]! : upTo(256), stream, payload));
  }
  return Buffer.concat(frames);
}
