import { Agent, request } from "node:http";
import { WebSocket } from "ws";
import { Client } from "../realtime/harness.js";

/** What clients have done, and what went wrong. */
export interface Tally {
  requests: number;
  /** Messages of streams. */
  ticks: number;
  /** Messages of rooms, by member. */
  deliveries: number;
  /** By what happened. */
  readonly failures: Map<string, number>;
}

const callers = 8;
const talkers = 4;
const watchers = 4;
/** Of each stream and, of those both ways, in each direction. */
const messagesOfStream = 50;
const rooms = 2;
const membersOfRoom = 5;

/** Clients that keep a gateway busy until they are stopped: requests, streams, and sockets in rooms. */
export class ReloadLoad {
  readonly tally: Tally = { requests: 0, ticks: 0, deliveries: 0, failures: new Map() };
  readonly #agent = new Agent({ keepAlive: true, maxSockets: callers + watchers });
  readonly #port: number;
  readonly #calling: Promise<void>[] = [];
  readonly #ends: (() => void)[] = [];
  #stopping = false;

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves when all members are in their rooms. */
  async start(): Promise<void> {
    for (let caller = 0; caller < callers; caller++) this.#calling.push(this.#call(caller));
    for (let watcher = 0; watcher < watchers; watcher++) this.#calling.push(this.#watch());
    for (let talker = 0; talker < talkers; talker++) this.#calling.push(this.#talk());
    for (let room = 0; room < rooms; room++) await this.#meet(`room ${room}`);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#calling);
    for (const end of this.#ends) end();
    this.#agent.destroy();
  }

  #failed(how: string): void {
    const { failures } = this.tally;
    if (!this.#stopping) failures.set(how, (failures.get(how) ?? 0) + 1);
  }

  async #call(caller: number): Promise<void> {
    for (let sent = 0; !this.#stopping; sent++) {
      const id = `${caller}-${sent}`;
      const outcome = await this.#get(`/v1/items/${id}`);
      this.tally.requests++;
      if (!outcome.startsWith(`200 {"id":"${id}"`)) this.#failed(`a request: ${outcome}`);
    }
  }

  #get(path: string): Promise<string> {
    return new Promise(resolve => {
      const outgoing = request({ port: this.#port, path, agent: this.#agent }, response => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.once("end", () => resolve(`${response.statusCode} ${text}`));
        response.once("error", error => resolve(error.message));
      });
      outgoing.once("error", error => resolve(error.message));
      outgoing.end();
    });
  }

  /** Streams of responses, one after the other. */
  async #watch(): Promise<void> {
    while (!this.#stopping) {
      const outcome = await this.#get(`/v1/rooms/a/ticks?count=${messagesOfStream}`);
      this.tally.ticks += messagesOfStream;
      if (!outcome.startsWith("200 [") || JSON.parse(outcome.slice(4)).length !== messagesOfStream)
        this.#failed(`a stream of responses: ${outcome}`);
    }
  }

  /** Streams both ways, one after the other: what is sent comes back with the next number. */
  async #talk(): Promise<void> {
    while (!this.#stopping) {
      const client = new Client(new WebSocket(`ws://127.0.0.1:${this.#port}/v1/rooms/a:talk`));
      await client.opened;
      for (let seq = 1; seq <= messagesOfStream; seq++) {
        client.say({ seq, text: "x" });
        const reply = await client.next().catch((error: Error) => ({ seq: error.message }));
        this.tally.ticks++;
        if (Number(reply.seq) !== seq + 1) this.#failed(`a stream both ways: ${JSON.stringify(reply)}`);
      }
      client.say({ end: true });
      const { code } = await client.closed;
      if (code !== 1000) this.#failed(`a stream both ways was closed with ${code}`);
    }
  }

  /** Members who all see every message; one of them sends the next when it has seen its last. */
  async #meet(room: string): Promise<void> {
    const clients: Client[] = [];
    for (let member = 0; member < membersOfRoom; member++) {
      const client = new Client(new WebSocket(`ws://127.0.0.1:${this.#port}/ws`));
      await client.opened;
      await client.join(room, `member ${member}`);
      clients.push(client);
      void client.closed.then(({ code }) => this.#failed(`a socket was closed with ${code}`));
      this.#ends.push(() => client.socket.terminate());
    }
    const say = (): void => clients[0]?.say({ type: "send-message", room_id: room, message: "x" });
    for (const client of clients) void this.#listen(client, client === clients[0] ? say : undefined);
    say();
  }

  async #listen(client: Client, say: (() => void) | undefined): Promise<void> {
    for (let expected = 1; ; expected++) {
      const frame = await client.next("receive-message").catch(() => undefined);
      if (frame === undefined) return;
      this.tally.deliveries++;
      if (frame.seq !== expected) {
        this.#failed(`a member got message ${frame.seq} in place of ${expected}`);
        expected = Number(frame.seq);
      }
      say?.();
    }
  }
}
