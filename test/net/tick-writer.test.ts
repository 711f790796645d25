import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TickWriter } from "../../src/net/tick-writer.js";

class Texts extends TickWriter<{ bytes: Buffer; length: number }> {
  readonly waiting: string[] = [];

  constructor(socket: Socket) {
    super(socket, capacity => ({ bytes: Buffer.alloc(capacity), length: 0 }));
  }

  add(text: string): void {
    this.waiting.push(text);
    this.schedule();
  }

  protected fill(): void {
    const text = this.waiting.shift();
    if (text !== undefined) this.out.length += this.out.bytes.write(text, this.out.length);
    // As a stream does that is given its next bytes while the buffer is filled.
    if (this.waiting.length > 0) this.schedule();
  }

  protected onGiven(): void {}
}

test("bytes are written once where the socket is busy and more was scheduled while the buffer was filled", async () => {
  const written: string[] = [];
  const done: (() => void)[] = [];
  const socket = new Writable({
    write: (chunk, _encoding, callback) => {
      written.push(String(chunk));
      done.push(callback);
    },
  });
  const writer = new Texts(socket as Socket);
  for (const text of ["a", "b", "c", "d"]) writer.add(text);
  for (let turn = 0; turn < 20; turn++) {
    await nextTurn();
    await nextTurn();
    done.shift()?.();
  }
  assert.equal(written.join(""), "abcd");
});
