/** The members of a room, in a process of their own. */
import { setTimeout as pause } from "node:timers/promises";
import { answers, waitForQuestions } from "../process/control-probe.js";
import { dialects, type EntrantName } from "./entrants.js";
import { type HttpMember, type HttpTransport, openHttpMember } from "./http-member.js";
import { Member } from "./member.js";

const buffer = Buffer.allocUnsafeSlow(256 * 1024);
let members: (Member | HttpMember)[] = [];

/** What one run has delivered. */
export interface Delivered {
  readonly messages: number;
  readonly deliveries: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function open(
  entrant: EntrantName,
  port: number,
  count: number,
  transport: HttpTransport | "websocket",
): Promise<void> {
  for (let first = 0; first < count; first += 100) {
    const more = Array.from({ length: Math.min(100, count - first) }, (_, i) =>
      transport === "websocket"
        ? new Member(port, `member ${first + i}`, dialects[entrant], buffer)
        : openHttpMember(port, transport, buffer),
    );
    await Promise.all(more.map(member => member.opened));
    members.push(...more);
  }
}

/** The first member says something; whenever it hears itself it goes on, with so many messages under way. */
function run(
  entrant: EntrantName,
  window: number,
  milliseconds: number,
  size: number,
  what: "sent" | "delivered",
): Promise<Delivered> {
  const [sender] = members;
  if (!(sender instanceof Member)) throw new Error("the first member has no WebSocket");
  const dialect = dialects[entrant];
  const padding = what === "sent" ? size : size - dialect.delivered("").length;
  const text = dialect.message("x".repeat(padding));
  for (const member of members) member.messageBytes = dialect.delivered("x".repeat(padding)).length;
  const before = members.reduce((sum, member) => sum + member.messages, 0);
  const cpu = process.cpuUsage();
  const started = performance.now();
  let sent = 0;
  let heard = 0;
  return new Promise(resolve => {
    const settle = (): void => {
      const deliveries = members.reduce((sum, member) => sum + member.messages, 0) - before;
      if (deliveries < sent * members.length) {
        setTimeout(settle, 1);
        return;
      }
      const { user, system } = process.cpuUsage(cpu);
      const seconds = (performance.now() - started) / 1000;
      resolve({ messages: sent, deliveries, seconds, cpuSeconds: (user + system) / 1e6 });
    };
    const say = (): void => {
      sent += window;
      sender.send(text, window);
    };
    sender.onMessage = () => {
      heard++;
      if (performance.now() - started < milliseconds) {
        // All of a window at once: the server reads them in one turn, as it reads those of busy rooms.
        if (heard === sent) say();
      } else if (heard === sent) {
        sender.onMessage = undefined;
        settle();
      }
    };
    say();
  });
}

/** How long messages take from their sender to members, microseconds. */
export interface Delays {
  readonly p50_us: number;
  readonly p99_us: number;
}

/** Milliseconds between two messages. */
const interval = 40;
let others: Member[] = [];

/**
 * Delays in the first room, while as many as `count` are members of both it and a second one, and do not read any more:
 * what they leave unread fills the buffers of the kernel, and then passes the server's limit. With `reading` they take
 * in the same.
 */
async function delays(port: number, count: number, reading: boolean, milliseconds: number): Promise<Delays> {
  const [sender] = members;
  if (!(sender instanceof Member)) throw new Error("the first member has no WebSocket");
  const join = JSON.stringify({ type: "join-room", room_id: "large" });
  others = Array.from(
    { length: count },
    (_, i) => new Member(port, `other ${i}`, dialects.protogate, buffer),
  );
  const speaker = new Member(port, "speaker", dialects.protogate, buffer);
  others.push(speaker);
  await Promise.all(others.map(other => other.opened));
  for (const other of others) other.send(join);
  await pause(500);
  if (!reading) for (const other of others) if (other !== speaker) other.stopReading();
  const toOthers = (size: number): string =>
    JSON.stringify({ type: "send-message", room_id: "large", message: "x".repeat(size) });
  const large = toOthers(16_000);
  const small = dialects.protogate.message("x".repeat(200));
  const sentAt: number[] = [];
  const found: number[] = [];
  for (const member of members) {
    let next = 0;
    member.onMessage = () => {
      const at = sentAt[next++];
      if (at !== undefined) found.push(performance.now() - at);
    };
  }
  const started = performance.now();
  for (let turn = 0; ; turn++) {
    const wait = started + turn * interval - performance.now();
    if (turn * interval >= milliseconds) break;
    if (wait > 0) await pause(wait);
    speaker.send(large);
    sentAt.push(performance.now());
    sender.send(small);
  }
  const expected = sentAt.length * members.length;
  for (let patience = 1000; found.length < expected && patience > 0; patience--) await pause(10);
  for (const member of members) member.onMessage = undefined;
  if (found.length !== expected) throw new Error(`${found.length} deliveries of ${expected}`);
  const sorted = Float64Array.from(found).sort();
  const at = (share: number): number => Math.round((sorted[Math.floor(share * sorted.length)] ?? 0) * 1000);
  return { p50_us: at(0.5), p99_us: at(0.99) };
}

answers.set("delays", async rest => {
  const [port, count, reading, milliseconds] = rest.split(" ");
  return JSON.stringify(await delays(Number(port), Number(count), reading === "read", Number(milliseconds)));
});
answers.set("dismiss", () => {
  for (const other of others) other.close();
  return "done";
});
answers.set("open", async rest => {
  const [entrant, port, count, transport = "websocket"] = rest.split(" ");
  await open(entrant as EntrantName, Number(port), Number(count), transport as HttpTransport | "websocket");
  return "done";
});
answers.set("run", async rest => {
  const [entrant, window, milliseconds, size, what] = rest.split(" ");
  const ran = await run(
    entrant as EntrantName,
    Number(window),
    Number(milliseconds),
    Number(size),
    what === "sent" ? "sent" : "delivered",
  );
  return JSON.stringify(ran);
});
answers.set("close", () => {
  for (const member of members) member.close();
  members = [];
  return "done";
});
waitForQuestions();
console.log("ready");
