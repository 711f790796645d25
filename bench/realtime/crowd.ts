/** Thousands of sockets in a process of their own: they come, join, and come back as clients of the project do. */
import { connect, type OnReadOpts, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { answers, waitForQuestions } from "../process/control-probe.js";
import { frameOf, headLength, payloadLength, upgradeRequest } from "./frames.js";

/** All sockets read into it. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024);
/** Milliseconds, as of `@protogate/client`: a random wait, whose longest doubles with each failure. */
const backoff = { min: 500, max: 15_000 };
/** Handshakes under way where nothing else holds them back. */
const atOnce = 200;

interface Place {
  readonly port: number;
  readonly room: string;
}

/** One socket in one room. Texts are told apart by how they begin. */
class Visitor {
  received = 0;
  /** Failed attempts since it was last a member. */
  failures = 0;
  #socket: Socket | undefined;
  #rest = Buffer.alloc(0);

  constructor(
    readonly name: string,
    readonly place: Place,
  ) {}

  /** Resolves when it is a member. @throws Error where the connection ends before */
  join(): Promise<void> {
    const { port, room } = this.place;
    this.#rest = Buffer.alloc(0);
    return new Promise((resolve, reject) => {
      let open = false;
      const onread: OnReadOpts = {
        buffer,
        callback: (length, bytes) => {
          let chunk = Buffer.from(bytes.buffer, bytes.byteOffset, length);
          if (this.#rest.length > 0) chunk = Buffer.concat([this.#rest, chunk]);
          if (!open) {
            const end = chunk.indexOf("\r\n\r\n");
            if (end < 0) this.#rest = Buffer.from(chunk);
            else if (!chunk.toString("latin1", 0, end).startsWith("HTTP/1.1 101"))
              reject(new Error("refused"));
            else {
              open = true;
              chunk = chunk.subarray(end + 4);
              this.#rest = Buffer.alloc(0);
              this.send({ type: "join-room", room_id: room });
            }
          }
          if (open) this.#read(chunk, resolve);
          return true;
        },
      };
      const socket = connect({ port, host: "127.0.0.1", onread });
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("closed")));
      socket.write(upgradeRequest("/ws", this.name));
    });
  }

  /** Comes back, with the waits of the client, until it is a member. */
  async comeBack(): Promise<void> {
    for (;;) {
      const longest = Math.min(backoff.max, backoff.min * 2 ** this.failures);
      await pause(longest * (0.2 + 0.8 * Math.random()));
      try {
        await this.join();
        this.failures = 0;
        return;
      } catch {
        this.failures++;
      }
    }
  }

  get ended(): Promise<void> {
    return new Promise(resolve => {
      if (this.#socket === undefined || this.#socket.destroyed) resolve();
      else this.#socket.once("close", () => resolve());
    });
  }

  send(frame: object): void {
    this.#socket?.write(frameOf(0x81, Buffer.from(JSON.stringify({ ...frame, id: 1 }))));
  }

  close(): void {
    this.#socket?.destroy();
  }

  #read(chunk: Buffer, joined: () => void): void {
    let at = 0;
    while (chunk.length - at >= 2) {
      const head = headLength(chunk, at);
      if (chunk.length - at < head) break;
      const length = payloadLength(chunk, at);
      if (chunk.length - at < head + length) break;
      // `{"type":"ack"` and `{"type":"receive-message"`; notices of others begin with other letters.
      const kind = chunk[at + head + 9];
      if (kind === 0x61) joined();
      else if (kind === 0x72) this.received++;
      at += head + length;
    }
    this.#rest = Buffer.from(chunk.subarray(at));
  }
}

const crowd: Visitor[] = [];

/** Seconds until all have done it, at most `atOnce` of them at a time. */
async function timed(does: (visitor: Visitor) => Promise<void>, width = atOnce): Promise<string> {
  const started = performance.now();
  const waiting = crowd[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const visitor of waiting) await does(visitor);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return ((performance.now() - started) / 1000).toFixed(2);
}

/** `fill <count> <rooms> <port>…`: visitors for each port in turn; nobody has connected yet. */
answers.set("fill", rest => {
  const [count, rooms, ...ports] = rest.split(" ").map(Number) as [number, number, ...number[]];
  for (const visitor of crowd.splice(0)) visitor.close();
  for (let index = 0; index < count; index++)
    crowd.push(
      new Visitor(`visitor ${index}`, {
        port: ports[index % ports.length] ?? 0,
        room: `crowd-${index % rooms}`,
      }),
    );
  return "done";
});
answers.set("join", () => timed(visitor => visitor.join()));
/** Waits until every socket has lost its server, and then until all are members again. */
answers.set("storm", async () => {
  await Promise.all(crowd.map(visitor => visitor.ended));
  return timed(visitor => visitor.comeBack(), crowd.length);
});
/** Seconds until every member of the first room has a message. */
answers.set("say", async () => {
  const [first] = crowd;
  const listeners = crowd.filter(({ place }) => place.room === first?.place.room);
  const before = listeners.map(({ received }) => received);
  const started = performance.now();
  first?.send({ type: "send-message", room_id: first.place.room, message: "x".repeat(200) });
  while (listeners.some(({ received }, index) => received === before[index])) await pause(1);
  return ((performance.now() - started) / 1000).toFixed(3);
});
waitForQuestions();
console.log("ready");
