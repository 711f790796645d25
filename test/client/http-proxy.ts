import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import type { TestContext } from "node:test";

/** An HTTP proxy before a gateway that refuses WebSockets until it is told to pass them, as networks have them. */
export interface HttpProxy {
  readonly port: number;
  /** Whether responses are kept until they are whole. */
  holds: boolean;
  /** Whether WebSockets pass. */
  upgrades: boolean;
  /** The requests so far: `GET sse`, `GET poll`, `POST`, `DELETE`, and `GET upgrade`. */
  readonly requests: string[];
  /** The response to each of the next `count` requests of that kind is lost, once the gateway has given it. */
  lose(kind: string, count: number): void;
  /** Ends every connection, and refuses others. */
  cut(): void;
  /** Takes connections again. @param port of another gateway */
  restore(port?: number): void;
}

export async function startHttpProxy(t: TestContext, target: number): Promise<HttpProxy> {
  let port = target;
  let whole = true;
  const upgraded = new Set<Socket>();
  const losses: string[] = [];
  const requests: string[] = [];
  const forward = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = "", url = "", headers } = incoming;
    const kind = kindOf(incoming);
    requests.push(kind);
    const { connection: _, upgrade: __, ...kept } = headers;
    const outgoing = request({ host: "127.0.0.1", port, method, path: url, headers: kept, agent: false });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    outgoing.on("response", async (given: IncomingMessage) => {
      given.on("error", () => response.destroy());
      const loss = losses.indexOf(kind);
      if (loss >= 0) {
        losses.splice(loss, 1);
        response.destroy();
        return;
      }
      try {
        const body = proxy.holds ? await buffer(given) : undefined;
        response.writeHead(given.statusCode ?? 502, given.headers);
        if (body !== undefined) response.end(body);
        else {
          response.flushHeaders();
          given.pipe(response);
        }
      } catch {
        response.destroy();
      }
    });
    incoming.pipe(outgoing);
  };
  const server = createServer((incoming, response) => {
    if (whole) void forward(incoming, response);
    else response.destroy();
  });
  const proxy: HttpProxy = {
    port: 0,
    holds: false,
    upgrades: false,
    requests,
    lose: (kind, count) => losses.push(...Array<string>(count).fill(kind)),
    cut: () => {
      whole = false;
      for (const socket of upgraded) socket.destroy();
      server.closeAllConnections();
    },
    restore: (to = port) => {
      port = to;
      whole = true;
    },
  };
  server.on("upgrade", (incoming: IncomingMessage, near: Socket, head: Buffer) => {
    requests.push(kindOf(incoming));
    near.on("error", () => near.destroy());
    if (!whole || !proxy.upgrades) {
      near.end(whole ? "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" : "");
      return;
    }
    const far = connect(port, "127.0.0.1");
    far.on("error", () => far.destroy());
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      upgraded.add(socket);
      socket.on("close", () => {
        upgraded.delete(socket);
        other.destroy();
      });
    }
    const { method, url, rawHeaders } = incoming;
    const lines = rawHeaders.flatMap((name, n) => (n % 2 === 0 ? [`${name}: ${rawHeaders[n + 1]}`] : []));
    far.write([`${method} ${url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
    far.write(head);
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    proxy.cut();
    server.close();
  });
  return Object.assign(proxy, { port: (server.address() as AddressInfo).port });
}

function kindOf({ method, headers }: IncomingMessage): string {
  if (method !== "GET") return method ?? "";
  if (headers.upgrade !== undefined) return "GET upgrade";
  return headers.accept === "text/event-stream" ? "GET sse" : "GET poll";
}
