import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

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

/**
 * Resolves once a program accepts connections on the loopback port.
 * @param host an address of loopback
 * @throws Error where it ends before
 */
export async function untilAccepts(port: number, exited: Promise<unknown>, host?: string): Promise<void> {
  let over = false;
  void exited.then(() => {
    over = true;
  });
  while (!(await accepts(port, host)))
    if (over) throw new Error("the program ended before it accepted connections");
}

/** Resolves once nobody accepts connections on the loopback port. */
export async function untilRefuses(port: number): Promise<void> {
  while (await accepts(port));
}

function accepts(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
