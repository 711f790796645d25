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

/** Gateways that sockets come back to, in turn. */
let ports: readonly number[] = [];
let turn = 0;
/** Attempts that failed since they were last asked about. */
let failures = 0;
/** Whether sockets whose gateway is gone come back. */
let faithful = true;

/** One socket in one room. Texts are told apart by how they begin. */
class Visitor {
  /** Of others: messages, and notices that somebody left. */
  received = 0;
  leaves = 0;
  member = false;
  #failures = 0;
  #socket: Socket | undefined;
  #rest = Buffer.alloc(0);
  #settled: ((error?: Error) => void) | undefined;
  /** Seconds that the gateway asks it to stay away. */
  #retryAfter = 0;

  constructor(
    readonly name: string,
    readonly room: string,
    public port: number,
  ) {}

  /** Resolves when it is a member. @throws Error where the connection ends before */
  join(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settled = error => {
        this.#settled = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      let open = false;
      this.#rest = Buffer.alloc(0);
      const onread: OnReadOpts = {
        buffer,
        callback: (length, bytes) => {
          let chunk = Buffer.from(bytes.buffer, bytes.byteOffset, length);
          if (this.#rest.length > 0) chunk = Buffer.concat([this.#rest, chunk]);
          if (!open) {
            const end = chunk.indexOf("\r\n\r\n");
            if (end < 0) {
              this.#rest = Buffer.from(chunk);
              return true;
            }
            if (!chunk.toString("latin1", 0, end).startsWith("HTTP/1.1 101")) socket.destroy();
            open = true;
            chunk = chunk.subarray(end + 4);
            this.send({ type: "join-room", room_id: this.room, from: this.name });
          }
          this.#read(chunk);
          return true;
        },
      };
      const socket = connect({ port: this.port, host: "127.0.0.1", onread });
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#closed());
      socket.write(upgradeRequest("/ws", this.name));
    });
  }

  /** Comes back, with the waits of the client, until it is a member. */
  async comeBack(): Promise<void> {
    for (;;) {
      const longest = Math.min(backoff.max, backoff.min * 2 ** this.#failures++);
      await pause(Math.max(longest * (0.2 + 0.8 * Math.random()), 1000 * this.#retryAfter));
      this.#retryAfter = 0;
      this.port = ports[turn++ % ports.length] ?? this.port;
      try {
        await this.join();
        this.#failures = 0;
        return;
      } catch {
        failures++;
      }
    }
  }

  /** In one write. */
  send(...frames: object[]): void {
    const written = frames.map(frame => frameOf(0x81, Buffer.from(JSON.stringify({ ...frame, id: 1 }))));
    this.#socket?.write(Buffer.concat(written));
  }

  close(): void {
    this.#socket?.destroy();
  }

  #closed(): void {
    const was = this.member;
    this.member = false;
    this.#settled?.(new Error("closed"));
    if (was && faithful) void this.comeBack();
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (chunk.length - at >= 2) {
      const head = headLength(chunk, at);
      if (chunk.length - at < head) break;
      const length = payloadLength(chunk, at);
      if (chunk.length - at < head + length) break;
      this.#frame((chunk[at] ?? 0) & 0x0f, chunk.subarray(at + head, at + head + length));
      at += head + length;
    }
    this.#rest = Buffer.from(chunk.subarray(at));
  }

  #frame(opcode: number, payload: Buffer): void {
    if (opcode === 8) {
      this.#retryAfter = Number(/"retry_after":(\d+)/.exec(payload.toString("latin1", 2))?.[1] ?? 0);
      this.#socket?.end(frameOf(0x88, payload.subarray(0, 2)));
    } else if (opcode === 9) this.#socket?.write(frameOf(0x8a, payload));
    // The letter after `{"type":"`: ack, receive-message, leave-room, error; other notices begin with j and m.
    else if (payload[9] === 0x61) {
      this.member = true;
      this.#settled?.();
    } else if (payload[9] === 0x72) this.received++;
    else if (payload[9] === 0x6c) this.leaves++;
    else if (payload[9] === 0x65) this.#socket?.destroy();
  }
}

const crowd: Visitor[] = [];

async function until(condition: () => boolean): Promise<string> {
  const started = performance.now();
  while (!condition()) await pause(2);
  return ((performance.now() - started) / 1000).toFixed(2);
}

/**
 * `fill <count> <rooms> <prefix> <port>…`: visitors for the gateways in turn, and members of one room for different
 * ones. Nobody has connected yet.
 */
answers.set("fill", rest => {
  const [count = 0, rooms = 1, prefix = "", ...given] = rest
    .split(" ")
    .map((word, index) => (index === 2 ? word : Number(word))) as [number, number, string, ...number[]];
  ports = given;
  for (let index = 0; index < count; index++) {
    const port = ports[(index + Math.floor(index / rooms)) % ports.length] ?? 0;
    crowd.push(new Visitor(`visitor ${index}`, `${prefix}-${index % rooms}`, port));
  }
  return "done";
});
/** Seconds until all have joined, at most `atOnce` of them at a time. */
answers.set("join", async () => {
  const started = performance.now();
  const waiting = crowd[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const visitor of waiting) await visitor.join().catch(() => visitor.comeBack());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return ((performance.now() - started) / 1000).toFixed(2);
});
/** `away <port>…`: sockets that end from now on stay away until `return`, and then go to one of these ports. */
answers.set("away", rest => {
  ports = rest.split(" ").map(Number);
  faithful = false;
  for (const visitor of crowd) visitor.leaves = 0;
  return "done";
});
/** `ports <port>…`: sockets that end from now on come back to one of these ports. */
answers.set("ports", rest => {
  ports = rest.split(" ").map(Number);
  return "done";
});
/** `count <port>`: how many are members by that gateway. */
answers.set("count", port => String(crowd.filter(each => each.member && each.port === Number(port)).length));
/** How many members have lost the other member of their room. */
answers.set("bereft", () => {
  const left = new Set(crowd.filter(({ member }) => !member).map(({ room }) => room));
  return String(crowd.filter(({ member, room }) => member && left.has(room)).length);
});
/** `lost <count>`: seconds until so many sockets have ended. */
answers.set("lost", count =>
  until(() => crowd.reduce((sum, { member }) => sum + Number(!member), 0) >= Number(count)),
);
/** `leaves <count>`: seconds until members have been notified of so many leaves, and how many of more than one. */
answers.set("leaves", async count => {
  const told = (): number => crowd.reduce((sum, { leaves }) => sum + leaves, 0);
  const seconds = await until(() => told() >= Number(count));
  // A second notice of the same leave would be on its way.
  await pause(3000);
  const twice = crowd.filter(({ leaves }) => leaves > 1).length;
  return `${seconds} ${twice} ${told()}`;
});
/** All that are not members come back now. */
answers.set("return", () => {
  faithful = true;
  for (const visitor of crowd) if (!visitor.member) void visitor.comeBack();
  return "done";
});
/** Seconds until all are members, and attempts that failed meanwhile. */
answers.set("whole", async () => {
  const seconds = await until(() => crowd.every(({ member }) => member));
  const failed = failures;
  failures = 0;
  return `${seconds} ${failed}`;
});
/** `say <count>`: seconds until every member of the first room has so many messages, which come in one packet. */
answers.set("say", async count => {
  const [first] = crowd;
  const listeners = crowd.filter(({ room }) => room === first?.room);
  const before = listeners.map(({ received }) => received);
  const frame = { type: "send-message", room_id: first?.room, message: "x".repeat(200) };
  first?.send(...new Array<object>(Number(count)).fill(frame));
  return until(() =>
    listeners.every(({ received }, index) => received === (before[index] ?? 0) + Number(count)),
  );
});
waitForQuestions();
console.log("ready");
