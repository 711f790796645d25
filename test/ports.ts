import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { errorMessage } from "../src/net/error-text.js";

/** Loopback ports that nobody listens on, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map(server => once(server, "listening")));
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(server => once(server.close(), "close")));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** A loopback address whose ports nobody else listens on. */
export function ownHost(): string {
  return `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
}

/**
 * Resolves once a program accepts connections on the loopback port.
 * @param host an address of loopback
 * @param exited settles when the program has ended, and is rejected where it cannot be started
 * @throws Error where it ends before
 */
export async function untilAccepts(port: number, exited: Promise<unknown>, host?: string): Promise<void> {
  let failure: Error | undefined;
  void exited.then(
    () => {
      failure = new Error("the program ended before it accepted connections");
    },
    error => {
      failure = new Error(`the program cannot be started: ${errorMessage(error)}`);
    },
  );
  while (!(await accepts(port, host))) if (failure !== undefined) throw failure;
}

/** Resolves once nobody accepts connections on the loopback port. */
export async function untilRefuses(port: number): Promise<void> {
  while (await accepts(port));
}

/** Whether somebody listens there now. */
export function accepts(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
