import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import { Client } from "../harness.js";

/** A member of a room, on the listener of sockets at a port. */
export async function member(t: TestContext, port: unknown, room = "price-ACME"): Promise<Client> {
  const client = new Client(new WebSocket(`ws://127.0.0.1:${port}/ws`));
  t.after(() => client.socket.terminate());
  await client.opened;
  await client.join(room, "jdoe");
  return client;
}
