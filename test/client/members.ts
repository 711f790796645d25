import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import { pollTransport, sseTransport } from "../../clients/js/src/fallback.js";
import {
  Client,
  type ClientOptions,
  type Room,
  type Transport,
  type WebSocketConstructor,
} from "../../clients/js/src/index.js";

export const webSocket = WebSocket as unknown as WebSocketConstructor;

export const fallbacks: readonly Transport[] = [sseTransport(), pollTransport()];
/** Those that a client tries, in order. */
export const transports = ["websocket" as const, ...fallbacks];
/** Of the configuration of a gateway that serves them. */
export const served = "path: /ws, transports: [websocket, sse, poll]";

/** A client of the gateway at that port, closed with the test. */
export function connectTo(t: TestContext, port: number, more: Partial<ClientOptions> = {}): Client {
  const backoff = { min: 5, max: 50 };
  const client = new Client({ url: `ws://127.0.0.1:${port}/ws`, webSocket, backoff, ...more });
  t.after(() => client.close());
  return client;
}

/** What a member can account for. */
export class Ledger {
  readonly texts: string[] = [];
  lost = 0;
  epochs = 0;

  constructor(room: Room) {
    room.on("message", ({ message }) => this.texts.push(message));
    room.on("lost", ({ from, to }) => {
      if (to === Number.POSITIVE_INFINITY) this.epochs++;
      else this.lost += to - from + 1;
    });
  }

  async has(text: string): Promise<void> {
    while (!this.texts.includes(text)) await new Promise(resolve => setImmediate(resolve));
  }
}

/** Resolves with the name of the transport, as soon as the client is connected by one. */
export function openBy(client: Client): Promise<string> {
  return new Promise(resolve => {
    const look = (): void => {
      if (client.state.state === "open") resolve(client.state.transport);
    };
    client.on("state", look);
    client.connect();
    look();
  });
}
