import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const descriptors = "/proc/self/fd";
const count = (): number => readdirSync(descriptors).length;

/** Until no more descriptors are open than that. */
async function descriptorsAgain(most: number): Promise<void> {
  while (count() > most) await turn();
}

/** Until the backend has no connection. `once` would reject where one is reset. */
async function allClosed(): Promise<void> {
  await Promise.all(Array.from(open, socket => new Promise(resolve => socket.once("close", resolve))));
}

/** Tells of connections by the path of their request. */
const requests = new EventEmitter();
const open = new Set<Socket>();
const part = Buffer.alloc(65_536, "x");

/** A backend that says nothing on `/hang`, never stops on `/stream`, and is done at once elsewhere. */
const backend = createServer(socket => {
  open.add(socket);
  socket.once("close", () => open.delete(socket));
  socket.on("error", () => undefined);
  socket.once("data", chunk => {
    const path = /^\S+ (\S+)/.exec(String(chunk))?.[1] ?? "";
    const fill = (): void => {
      while (!socket.destroyed && socket.write(part));
    };
    if (path === "/stream") {
      socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
      socket.on("drain", fill);
      fill();
    } else if (path !== "/hang")
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    requests.emit(path, socket);
  });
});

/** Where a client leaves; what the backend sees by then. */
const stages: Readonly<
  Record<string, { readonly text: string; readonly path: string; readonly reads?: true }>
> = {
  "before the head of the response": { text: "GET /to/hang HTTP/1.1\r\nhost: a\r\n\r\n", path: "/hang" },
  "in a body with a length": {
    text: "POST /to/hang HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nab",
    path: "/hang",
  },
  "in a body in chunks": {
    text: "POST /to/hang HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
    path: "/hang",
  },
  "after a body in chunks": {
    text: "POST /to/hang HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    path: "/hang",
  },
  "in a response": { text: "GET /to/stream HTTP/1.1\r\nhost: a\r\n\r\n", path: "/stream", reads: true },
  "in a response to chunks": {
    text: "POST /to/stream HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    path: "/stream",
    reads: true,
  },
};

describe(`descriptors of pass-through (${engineUnderTest()})`, {
  skip: !existsSync(descriptors),
  timeout: 120_000,
}, () => {
  let yaml = "";
  let gateway: TestGateway;

  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const at = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    yaml = `
server: { drain: 100ms }
upstreams:
  one: { protocol: http, targets: ["${at}"], timeout: 60s }
  two: { protocol: http, targets: ["${at}"], timeout: 60s }
http:
  proxy:
    - { prefix: /to, upstream: one, rewrite: / }
    - { prefix: /two, upstream: two, rewrite: / }
`;
    gateway = await startTestGateway(yaml, {});
  });
  after(async () => {
    await gateway.close();
    for (const socket of open) socket.destroy();
    backend.close();
  });

  function send(text: string, { httpPort } = gateway): Socket {
    const socket = connect(httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(text, "latin1");
    return socket;
  }

  async function status(path: string, line = ""): Promise<string | undefined> {
    const head = `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${line}\r\n`;
    return statusesOf((await converse(gateway.httpPort, [head], 1, true)).text)[0];
  }

  /** What is open once as many requests were served at once as the tests send. */
  async function warm(): Promise<number> {
    const requests = Array.from({ length: 50 }, () => status("/to/x"));
    assert.deepEqual([...new Set(await Promise.all(requests))], ["200"]);
    await allClosed();
    await turn();
    return count();
  }

  test("1,200 heads that cannot be passed on leave no descriptor open", async () => {
    const most = await warm();
    for (let batch = 0; batch < 24; batch++) {
      const refused = Array.from({ length: 50 }, () => status("/to/x", "x: a\x7fb\r\n"));
      assert.deepEqual([...new Set(await Promise.all(refused))], ["400"]);
    }
    await descriptorsAgain(most);
    assert.equal(await status("/to/x"), "200");
  });

  for (const [stage, { text, path, reads }] of Object.entries(stages)) {
    test(`clients that leave ${stage} leave no descriptor open`, async () => {
      const most = await warm();
      for (let round = 0; round < 4; round++) {
        const clients = await Promise.all(
          Array.from({ length: 50 }, async () => {
            const client = send(text);
            if (reads) await once(client, "readable");
            return client;
          }),
        );
        while (open.size < clients.length) await once(requests, path);
        for (const client of clients) client.destroy();
        await allClosed();
      }
      await descriptorsAgain(most);
      assert.equal(await status("/to/x"), "200");
    });
  }

  test("1,100 requests that hang on one upstream do not keep those of another waiting", async () => {
    const most = await warm();
    const clients: Socket[] = [];
    for (let batch = 0; batch < 11; batch++) {
      const some = Array.from({ length: 100 }, () => send("GET /to/hang HTTP/1.1\r\nhost: a\r\n\r\n"));
      await Promise.all(some.map(client => once(client, "connect")));
      clients.push(...some);
    }
    assert.equal(await status("/two/x"), "200");
    assert.deepEqual(
      clients.filter(({ bytesRead }) => bytesRead > 0),
      [],
    );
    for (const client of clients) client.destroy();
    await descriptorsAgain(most);
    assert.equal(await status("/to/x"), "200");
  });

  test("a reload and a shutdown with requests under way end them all", async () => {
    const start = count();
    const other = await startTestGateway(yaml, {});
    const clients: Socket[] = [];
    for (let generation = 0; generation < 3; generation++) {
      for (const { text, path, reads } of Object.values(stages)) {
        const arrived = once(requests, path);
        const client = send(text, other);
        if (reads) await once(client, "readable");
        await arrived;
        clients.push(client);
      }
      other.write(
        "gateway.yaml",
        `${yaml}telemetry: { log: { level: ${generation % 2 ? "info" : "warn"} } }\n`,
      );
      await other.reload();
    }
    // Half of the clients leave the generations that are retired, the others are cut off.
    for (const client of clients.filter((_, index) => index % 2 === 0)) client.destroy();
    const ended = clients
      .filter((_, index) => index % 2 === 1)
      .map(client => new Promise(resolve => client.resume().once("close", resolve)));
    await other.close();
    await Promise.all(ended);
    await descriptorsAgain(start);
  });
});
