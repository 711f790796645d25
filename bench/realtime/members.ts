/** The members of a room, in a process of their own. */
import { answers, waitForQuestions } from "../process/control-probe.js";
import { dialects, type EntrantName } from "./entrants.js";
import { Member } from "./member.js";

const buffer = Buffer.allocUnsafeSlow(256 * 1024);
let members: Member[] = [];

/** What one run has delivered. */
export interface Delivered {
  readonly messages: number;
  readonly deliveries: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function open(entrant: EntrantName, port: number, count: number): Promise<void> {
  for (let first = 0; first < count; first += 100) {
    const more = Array.from(
      { length: Math.min(100, count - first) },
      (_, i) => new Member(port, `member ${first + i}`, dialects[entrant], buffer),
    );
    await Promise.all(more.map(member => member.opened));
    members.push(...more);
  }
}

/** The first member says something; whenever it hears itself it goes on, with so many messages under way. */
function run(entrant: EntrantName, window: number, milliseconds: number, size: number): Promise<Delivered> {
  const [sender] = members;
  if (sender === undefined) throw new Error("nobody is there");
  const dialect = dialects[entrant];
  const padding = size - dialect.delivered("").length;
  const text = dialect.message("x".repeat(padding));
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
      sent++;
      sender.send(text);
    };
    sender.onMessage = () => {
      heard++;
      if (performance.now() - started < milliseconds) {
        // All of a window at once: the server reads them in one turn, as it reads those of busy rooms.
        if (heard === sent) for (let i = 0; i < window; i++) say();
      } else if (heard === sent) {
        sender.onMessage = undefined;
        settle();
      }
    };
    for (let i = 0; i < window; i++) say();
  });
}

answers.set("open", async rest => {
  const [entrant, port, count] = rest.split(" ");
  await open(entrant as EntrantName, Number(port), Number(count));
  return "done";
});
answers.set("run", async rest => {
  const [entrant, window, milliseconds, size] = rest.split(" ");
  return JSON.stringify(
    await run(entrant as EntrantName, Number(window), Number(milliseconds), Number(size)),
  );
});
answers.set("close", () => {
  for (const member of members) member.close();
  members = [];
  return "done";
});
waitForQuestions();
console.log("ready");
