import { connect, type OnReadOpts, type Socket } from "node:net";

/** How members without a WebSocket get the messages of the room `general`. */
export type HttpTransport = "sse" | "poll" | "uni_sse";

/** A member without a WebSocket. Like `Member` it must cost less than the server, and only counts messages. */
export abstract class HttpMember {
  messages = 0;
  messageBytes = 0;
  onMessage: (() => void) | undefined;
  abstract readonly opened: Promise<unknown>;

  abstract close(): void;

  protected count(messages: number): void {
    for (let each = 0; each < messages; each++) {
      this.messages++;
      this.onMessage?.();
    }
  }
}

/** @param buffer that all members of the process read into */
export function openHttpMember(port: number, transport: HttpTransport, buffer: Uint8Array): HttpMember {
  return transport === "poll" ? new Poller(port, buffer) : new EventReader(port, transport, buffer);
}

const joinFrame = JSON.stringify({ type: "join-room", room_id: "general", from: "member" });
const delivered = '{"type":"receive-message"';

/** A stream of server-sent events. */
class EventReader extends HttpMember {
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  readonly #message: string;
  /** The end of an event is still to come. */
  #rest = "";

  constructor(port: number, transport: "sse" | "uni_sse", buffer: Uint8Array) {
    super();
    const own = transport === "sse";
    this.#message = own ? delivered : '"pub":{';
    const query = encodeURIComponent('{"subs":{"general":{}}}');
    const path = own ? "/ws" : `/connection/uni_sse?cf_connect=${query}`;
    let joined: (() => void) | undefined;
    let failed: (error: Error) => void = () => undefined;
    this.opened = new Promise((resolve, reject) => {
      joined = resolve;
      failed = reject;
    });
    const greet = (text: string): void => {
      const [, session] = /"session":"([^"]+)"/.exec(text) ?? [];
      if (session === undefined) return;
      const member = joined;
      joined = undefined;
      if (!own) member?.();
      else void join(port, session, buffer).then(member, failed);
    };
    this.#socket = connectTo(port, buffer, bytes => {
      if (joined !== undefined) greet(bytes.toString("latin1"));
      this.#read(bytes);
    });
    this.#socket.on("error", failed);
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    // No line of an event has a line end in it, so that what ends with one is complete.
    const complete = bytes.at(-1) === 0x0a;
    if (complete && this.#rest === "") {
      let found = 0;
      for (let at = bytes.indexOf(this.#message); at >= 0; at = bytes.indexOf(this.#message, at + 1)) found++;
      this.count(found);
      return;
    }
    this.#rest += bytes.toString("latin1");
    if (!complete) return;
    this.count(occurrences(this.#rest, this.#message));
    this.#rest = "";
  }
}

/** Polls again as soon as it has the response. */
class Poller extends HttpMember {
  readonly opened: Promise<void>;
  readonly #client: HttpClient;
  #received = 0;

  constructor(port: number, buffer: Uint8Array) {
    super();
    this.#client = new HttpClient(port, buffer);
    this.opened = this.#open();
  }

  close(): void {
    this.#client.close();
  }

  async #open(): Promise<void> {
    const { session } = JSON.parse(await this.#client.request("POST", [])) as { readonly session: string };
    await joinBy(this.#client, session);
    void this.#poll(session);
  }

  async #poll(session: string): Promise<void> {
    while (!this.#client.closed) {
      const headers = [`protogate-session: ${session}`, `protogate-received: ${this.#received}`];
      const body = await this.#client.request("GET", headers);
      this.#received += occurrences(body, '{"type":');
      this.count(occurrences(body, delivered));
    }
  }
}

async function join(port: number, session: string, buffer: Uint8Array): Promise<void> {
  const client = new HttpClient(port, buffer);
  await joinBy(client, session);
  client.close();
}

async function joinBy(client: HttpClient, session: string): Promise<void> {
  const type = "content-type: application/x-ndjson";
  await client.request("POST", [`protogate-session: ${session}`, "protogate-number: 1", type], joinFrame);
}

/** A connection on which one request follows the other. */
class HttpClient {
  closed = false;
  readonly #socket: Socket;
  #text = "";
  #resolve: ((body: string) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(port: number, buffer: Uint8Array) {
    this.#socket = connectTo(port, buffer, bytes => this.#read(bytes));
    this.#socket.on("error", error => this.#reject?.(error));
  }

  /** @returns the body of the response. It never comes where the client is closed before */
  request(method: string, headers: readonly string[], body = ""): Promise<string> {
    const head = [`${method} /ws HTTP/1.1`, "host: localhost", ...headers];
    if (method === "POST") head.push(`content-length: ${body.length}`);
    this.#socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  close(): void {
    this.closed = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#text += bytes.toString("latin1");
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#text.slice(0, end);
    const [, length = "0"] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
    const body = this.#text.slice(end + 4);
    if (body.length < Number(length)) return;
    this.#text = "";
    if (/^HTTP\/1\.1 20[04]/.test(head)) this.#resolve?.(body);
    else this.#reject?.(new Error(`${head}\n${body}`));
  }
}

function connectTo(port: number, buffer: Uint8Array, read: (bytes: Buffer) => void): Socket {
  const onread: OnReadOpts = {
    buffer,
    callback: (length, bytes) => {
      read(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      return true;
    },
  };
  const socket = connect({ port, host: "127.0.0.1", onread });
  socket.setNoDelay(true);
  return socket;
}

function occurrences(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}
