/** Clients that join, leave, speak, stop reading, vanish and come back, in a process of their own. */
import { setTimeout as pause } from "node:timers/promises";
import { answers, waitForQuestions } from "../process/control-probe.js";
import { type Account, SoakClient } from "./soak-client.js";

const clientCount = 40;
const rooms = Array.from({ length: 12 }, (_, i) => `room ${i}`);
const texts = [40, 200, 2000, 15_000].map(length => "x".repeat(length));

let clients: SoakClient[] = [];
let account: Account = { messages: 0, lost: 0, gaps: 0, slow: 0, resumed: 0, broken: [] };
let running: Promise<void> = Promise.resolve();
let until = 0;

function any<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

async function start(port: number, milliseconds: number): Promise<void> {
  account = { messages: 0, lost: 0, gaps: 0, slow: 0, resumed: 0, broken: [] };
  clients = Array.from({ length: clientCount }, (_, i) => new SoakClient(port, `c${i}`, account));
  await Promise.all(clients.map(client => client.open()));
  for (const client of clients) for (let i = 0; i < 4; i++) client.join(any(rooms));
  until = performance.now() + milliseconds;
  running = live();
}

async function live(): Promise<void> {
  while (performance.now() < until) {
    for (let i = 0; i < 6; i++) any(clients).send(any(rooms), any(texts));
    const client = any(clients);
    const chance = Math.random();
    if (chance < 0.02) void client.reconnect();
    else if (chance < 0.1) client.join(any(rooms));
    else if (chance < 0.16 && client.places.size > 1) client.leave(any([...client.places.keys()]));
    else if (chance < 0.2 && !client.paused && clients.filter(each => each.paused).length < clientCount / 5) {
      client.pause();
      setTimeout(() => client.resume(), 1000 + Math.random() * 9000);
    }
    await pause(5);
  }
  await finish();
}

/** Everybody reads on, and is where the server says that the room is. */
async function finish(): Promise<void> {
  for (const client of clients) client.resume();
  const patience = performance.now() + 60_000;
  for (const client of clients) {
    for (const room of [...client.places.keys()]) {
      for (;;) {
        const seq = await client.place(room);
        const place = client.places.get(room);
        if (seq === undefined || place === undefined || place.next > seq) break;
        if (performance.now() > patience) {
          account.broken.push(
            `${client.name}: ${room} is at ${seq}, but it was told up to ${place.next - 1} only`,
          );
          break;
        }
        await pause(20);
      }
    }
  }
  for (const client of clients) client.close();
}

answers.set("start", async rest => {
  const [port, milliseconds] = rest.split(" ").map(Number);
  await start(port ?? 0, milliseconds ?? 0);
  return "done";
});
/** The account so far, and whether it is the last. */
answers.set("account", async () => {
  const over = await Promise.race([running.then(() => true), pause(5000).then(() => false)]);
  return JSON.stringify({ over, ...account });
});
waitForQuestions();
console.log("ready");
