/** Sockets that come, join rooms, and catch up on what they missed, in a process of their own. */
import { once } from "node:events";
import { WebSocket } from "ws";
import { answers, waitForQuestions } from "../process/control-probe.js";

export type VisitedName = "protogate" | "centrifugo";

interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What a server says to a command. */
interface Reply {
  readonly id: number;
  /** Of the room that was joined. */
  readonly position?: Position;
  readonly error?: unknown;
  /** Messages that came with it. */
  readonly messages?: number;
}

/** How visitors speak to a server. */
interface Speech {
  readonly path: string;
  /** The command that a socket begins with. */
  readonly greeting: string | undefined;
  join(id: number, room: string, since?: Position): string;
  publish(id: number, room: string, text: string): string;
  /** @returns undefined for a message of a room, null for anything else */
  read(line: string): Reply | undefined | null;
}

interface CentrifugoReply {
  readonly id?: number;
  readonly error?: unknown;
  readonly push?: { readonly pub?: unknown };
  readonly subscribe?: {
    readonly epoch: string;
    readonly offset?: number;
    readonly publications?: readonly unknown[];
  };
}

const speeches: Readonly<Record<VisitedName, Speech>> = {
  protogate: {
    path: "/ws",
    greeting: undefined,
    join: (id, room_id, since) => JSON.stringify({ type: "join-room", room_id, since, id }),
    publish: (id, room_id, message) => JSON.stringify({ type: "send-message", room_id, message, id }),
    read: line => {
      if (line.startsWith('{"type":"receive-message"')) return undefined;
      const { type, id, ...rest } = JSON.parse(line) as { type: string; id?: number } & Position;
      if (id === undefined) return null;
      return type === "error" ? { id, error: line } : { id, position: { epoch: rest.epoch, seq: rest.seq } };
    },
  },
  // https://centrifugal.dev/docs/transports/client_protocol
  centrifugo: {
    path: "/connection/websocket",
    greeting: '{"id":1,"connect":{}}',
    join: (id, channel, since) => {
      const recovery = since && { recover: true, epoch: since.epoch, offset: since.seq };
      return JSON.stringify({ id, subscribe: { channel, ...recovery } });
    },
    publish: (id, channel, data) => JSON.stringify({ id, publish: { channel, data } }),
    read: line => {
      const { id, error, push, subscribe } = JSON.parse(line) as CentrifugoReply;
      if (id === undefined) return push?.pub === undefined ? null : undefined;
      const position = subscribe && { epoch: subscribe.epoch, seq: subscribe.offset ?? 0 };
      const messages = subscribe?.publications?.length ?? 0;
      return { id, messages, ...(error !== undefined && { error }), ...(position && { position }) };
    },
  },
};

class Visitor {
  messages = 0;
  onMessage: (() => void) | undefined;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #id = 1;

  constructor(
    readonly speech: Speech,
    port: number,
    name: string,
  ) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${speech.path}`, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${name}` },
    });
    this.#socket.on("message", data => {
      for (const line of String(data).split("\n")) if (line !== "") this.#read(line);
    });
  }

  async open(): Promise<void> {
    await once(this.#socket, "open");
    if (this.speech.greeting !== undefined) await this.#ask(1, this.speech.greeting);
  }

  async join(room: string, since?: Position): Promise<Position> {
    const id = ++this.#id;
    const { position } = await this.#ask(id, this.speech.join(id, room, since));
    if (position === undefined) throw new Error("a join without a position");
    return position;
  }

  async publish(room: string, text: string): Promise<void> {
    const id = ++this.#id;
    await this.#ask(id, this.speech.publish(id, room, text));
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  async #ask(id: number, text: string): Promise<Reply> {
    const reply = await new Promise<Reply>(resolve => {
      this.#waiting.set(id, resolve);
      this.#socket.send(text);
    });
    if (reply.error !== undefined) throw new Error(JSON.stringify(reply.error));
    return reply;
  }

  #read(line: string): void {
    const reply = this.speech.read(line);
    if (reply === null) return;
    this.messages += reply === undefined ? 1 : (reply.messages ?? 0);
    this.onMessage?.();
    if (reply === undefined) return;
    this.#waiting.get(reply.id)?.(reply);
    this.#waiting.delete(reply.id);
  }
}

const atOnce = 100;
let visitors: Visitor[] = [];
let positions: Position[] = [];

async function open(name: VisitedName, port: number, count: number): Promise<void> {
  for (let first = 0; first < count; first += atOnce) {
    const more = Array.from(
      { length: Math.min(atOnce, count - first) },
      (_, i) => new Visitor(speeches[name], port, `visitor ${first + i}`),
    );
    await Promise.all(more.map(visitor => visitor.open()));
    visitors.push(...more);
  }
}

async function closeAll(): Promise<void> {
  await Promise.all(visitors.map(visitor => visitor.close()));
  visitors = [];
}

/** Every visitor does it, `atOnce` of them at a time. */
async function each<T>(does: (visitor: Visitor, index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let first = 0; first < visitors.length; first += atOnce) {
    const some = visitors.slice(first, first + atOnce);
    results.push(...(await Promise.all(some.map((visitor, i) => does(visitor, first + i)))));
  }
  return results;
}

answers.set("open", async rest => {
  const [name, port, count] = rest.split(" ");
  await open(name as VisitedName, Number(port), Number(count));
  return "done";
});
answers.set("close", async () => {
  await closeAll();
  return "done";
});
/** Opens sockets, and closes them. */
answers.set("connect", async rest => {
  const [name, port, count] = rest.split(" ");
  await open(name as VisitedName, Number(port), Number(count));
  await closeAll();
  return "done";
});
/** Every visitor joins so many rooms, the same ones or each its own. */
answers.set("join", async rest => {
  const [rooms, whose, tag] = rest.split(" ");
  await each((visitor, index) =>
    Promise.all(
      Array.from({ length: Number(rooms) }, (_, room) =>
        visitor.join(`${tag}-${whose === "own" ? `${index}-` : ""}${room}`),
      ),
    ),
  );
  return "done";
});
/** Every visitor learns where a room is, and leaves; then messages are published there. */
answers.set("miss", async rest => {
  const [name, port, count, room = "", messages] = rest.split(" ");
  await open(name as VisitedName, Number(port), Number(count));
  positions = await each(visitor => visitor.join(room));
  await closeAll();
  await open(name as VisitedName, Number(port), 1);
  await visitors[0]?.join(room);
  for (let sent = 0; sent < Number(messages); sent++) await visitors[0]?.publish(room, "x".repeat(200));
  await closeAll();
  await open(name as VisitedName, Number(port), Number(count));
  return "done";
});
/** Every visitor joins from where it was, and gets the messages. */
answers.set("recover", async rest => {
  const [room = "", messages] = rest.split(" ");
  await each((visitor, index) => {
    const complete = new Promise<void>(resolve => {
      visitor.onMessage = () => {
        if (visitor.messages >= Number(messages)) resolve();
      };
    });
    return Promise.all([visitor.join(room, positions[index]), complete]);
  });
  return "done";
});
waitForQuestions();
console.log("ready");
