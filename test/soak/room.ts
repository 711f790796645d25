import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";

/** Members that stay for the whole run. */
const members = 20;

interface Frame {
  readonly type: string;
  readonly seq?: number;
  readonly epoch?: string;
  readonly reason?: string;
}

/**
 * A room with members that stay, one of which speaks, and others that come and go; until it is over. Each member must get
 * each message once, in order, for as long as it is one.
 * @param failed gets a short description of whatever is not so
 */
export async function keepRoom(
  url: string,
  over: () => boolean,
  failed: (what: string) => void,
): Promise<{ readonly messages: number }> {
  const staying = await Promise.all(Array.from({ length: members }, () => join(url, failed)));
  const [speaker] = staying;
  let messages = 0;
  const visits = async (): Promise<void> => {
    while (!over()) {
      const visitor = await join(url, failed);
      await pause(300);
      visitor.close();
    }
  };
  const speech = async (): Promise<void> => {
    while (!over()) {
      await speaker?.say(`message ${++messages}`);
      await pause(100);
    }
  };
  await Promise.all([speech(), visits()]);
  for (const member of staying) {
    await member.reach(messages);
    member.close();
  }
  return { messages };
}

interface Member {
  say(text: string): Promise<void>;
  /** Resolves once it has that many messages. */
  reach(count: number): Promise<void>;
  close(): void;
}

async function join(url: string, failed: (what: string) => void): Promise<Member> {
  const socket = new WebSocket(url);
  let next = 0;
  let last: Frame | undefined;
  let received = 0;
  let leaving = false;
  const waiting = new Map<number, (frame: Frame) => void>();
  let arrived = (): void => undefined;
  socket.on("message", data => {
    const frame = JSON.parse(String(data)) as Frame & { readonly id?: number };
    if (frame.id !== undefined) waiting.get(frame.id)?.(frame);
    if (frame.type !== "receive-message") return;
    const expected = (last?.seq ?? (frame.seq ?? 0) - 1) + 1;
    if (frame.seq !== expected || (last !== undefined && frame.epoch !== last.epoch))
      failed(`message ${frame.seq} in place of ${expected}`);
    last = frame;
    received++;
    arrived();
  });
  socket.on("close", code => {
    if (leaving) return;
    failed(`closed with ${code}`);
    for (const done of waiting.values()) done({ type: "error", reason: "closed" });
    arrived();
  });
  const ask = async (frame: object): Promise<void> => {
    const id = ++next;
    const answered = new Promise<Frame>(resolve => waiting.set(id, resolve));
    socket.send(JSON.stringify({ ...frame, id }));
    const { type, reason } = await answered;
    waiting.delete(id);
    if (type !== "ack") failed(`${reason ?? type}`);
  };
  await once(socket, "open");
  await ask({ type: "join-room", room_id: "general", from: "ada" });
  return {
    say: text => ask({ type: "send-message", room_id: "general", message: text }),
    reach: count =>
      new Promise(resolve => {
        arrived = () => {
          if (received >= count || socket.readyState !== WebSocket.OPEN) resolve();
        };
        arrived();
      }),
    close: () => {
      leaving = true;
      socket.close();
    },
  };
}
