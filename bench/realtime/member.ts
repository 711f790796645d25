import { connect, type OnReadOpts, type Socket } from "node:net";
import type { Dialect } from "./entrants.js";
import { frameOf, headLength, payloadLength, shortLength, upgradeRequest } from "./frames.js";

/**
 * A client that reads no more of a frame than its head: a thousand of them must cost less than the server that they
 * measure. Frames are told apart by how they begin.
 */
export class Member {
  /** Messages of the room that have come. */
  messages = 0;
  onMessage: (() => void) | undefined;
  /** Bytes of a message, as the dialect delivers it. */
  messageBytes = 0;
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  #open = false;
  /** Frames that wait for the answer to the one before. */
  #greeting: readonly string[] = [];
  #greeted: (() => void) | undefined;
  #head = Buffer.alloc(0);
  /** Bytes of the payload of a frame that are still to come. */
  #rest = 0;

  /** @param buffer that all members of the process read into */
  constructor(
    port: number,
    readonly name: string,
    readonly dialect: Dialect,
    buffer: Uint8Array,
  ) {
    let resolve: () => void = () => undefined;
    let reject: (error: Error) => void = () => undefined;
    this.opened = new Promise((done, failed) => {
      resolve = done;
      reject = failed;
    });
    const onread: OnReadOpts = {
      buffer,
      callback: (length, bytes) => {
        const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, length);
        if (this.#open) this.#read(chunk);
        else this.#handshake(chunk, resolve, reject);
        return true;
      },
    };
    this.#socket = connect({ port, host: "127.0.0.1", onread });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", reject);
    this.#socket.write(upgradeRequest(dialect.path, name));
  }

  /** In one write, so that the server reads all of them at once. */
  send(text: string, times = 1): void {
    const frame = frameOf(0x81, Buffer.from(text));
    this.#socket.write(times === 1 ? frame : Buffer.concat(new Array<Buffer>(times).fill(frame)));
  }

  /** Reads nothing any more. */
  stopReading(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  #handshake(chunk: Buffer, opened: () => void, failed: (error: Error) => void): void {
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const answer = this.#head.toString("latin1", 0, end);
    const rest = this.#head.subarray(end + 4);
    this.#head = Buffer.alloc(0);
    if (!answer.startsWith("HTTP/1.1 101")) {
      failed(new Error(answer));
      return;
    }
    this.#open = true;
    const greeting = this.dialect.greeting(this.name);
    if (this.dialect.polite) {
      this.#greeting = greeting;
      this.#greeted = opened;
      this.#greet();
    } else {
      for (const text of greeting) this.send(text);
      opened();
    }
    if (rest.length > 0) this.#read(rest);
  }

  #greet(): void {
    const [next, ...rest] = this.#greeting;
    this.#greeting = rest;
    if (next !== undefined) {
      this.send(next);
    } else {
      this.#greeted?.();
      this.#greeted = undefined;
    }
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#head.length > 0) {
      bytes = Buffer.concat([this.#head, chunk]);
      this.#head = Buffer.alloc(0);
    }
    let at = Math.min(this.#rest, bytes.length);
    this.#rest -= at;
    while (at < bytes.length) {
      const head = headLength(bytes, at);
      // Enough to tell what it is, unless it ends before.
      if (bytes.length - at < head + Math.min(shown, shortLength(bytes, at))) {
        this.#head = Buffer.from(bytes.subarray(at));
        return;
      }
      const length = payloadLength(bytes, at);
      this.#frame((bytes[at] ?? 0) & 0x0f, bytes, at + head, length);
      at += head + length;
    }
    this.#rest += at - bytes.length;
  }

  #frame(opcode: number, bytes: Buffer, at: number, length: number): void {
    if (opcode === 9) this.#socket.write(frameOf(0x8a, Buffer.alloc(0)));
    else if (opcode === 1 && length > shown) {
      if (this.#greeted !== undefined) this.#greet();
      else if (this.dialect.messagesIn !== undefined)
        this.#heard(this.dialect.messagesIn(length, this.messageBytes));
      else if (!isNotice(bytes, at)) this.#heard(1);
    } else if (opcode === 1 && length === 1 && bytes[at] === 0x32) this.send("3");
  }

  #heard(messages: number): void {
    for (let count = 0; count < messages; count++) {
      this.messages++;
      this.onMessage?.();
    }
  }
}

/** All messages of the bench are longer; handshakes of Socket.IO, pings and notices are told apart by these. */
const shown = 12;

/** `{"type":"join-room"`, `leave-room`, `members` and `ack`; `0{"sid"…`, `40{"sid"…` */
function isNotice(bytes: Buffer, at: number): boolean {
  const first = bytes[at];
  if (first === 0x7b) return "jlma".includes(String.fromCharCode(bytes[at + 9] ?? 0));
  return first === 0x30 || (first === 0x34 && bytes[at + 1] === 0x30);
}
