import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import type { ClientSocket } from "../../src/server/client-socket.js";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import type { InboundRequest, UpgradeRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "./loopback.js";

const mebibyte = 1 << 20;
const maxMessageBytes = mebibyte;

/** What happened on a socket, in order, and the socket. */
class Witness {
  readonly events: string[] = [];
  socket: ClientSocket | undefined;
  bytes = 0;
  readonly #waiting = new Set<() => void>();

  opened(socket: ClientSocket): void {
    this.socket = socket;
  }

  note(event: string): void {
    this.events.push(event);
    for (const look of this.#waiting) look();
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise(resolve => {
      const look = (): void => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  saw(event: string): Promise<void> {
    return this.until(() => this.events.includes(event));
  }
}

interface Served {
  readonly port: number;
  readonly witness: Witness;
  url(path: string): string;
}

/** An engine whose sockets below `/ws` are opened at once; `/late` after a turn, `/refused` never. */
async function serve(
  start: (options: EngineOptions) => Promise<Engine>,
  t: { after(f: () => Promise<void>): void },
  receive?: (socket: ClientSocket, data: Buffer) => void,
  idleTimeoutMs = 120_000,
): Promise<Served> {
  const witness = new Witness();
  const open = async (upgrade: UpgradeRequest): Promise<void> => {
    const taken = await upgrade.open([["x-own", "é"]], maxMessageBytes, socket => {
      witness.opened(socket);
      return {
        received: (data, isBinary) => {
          witness.bytes += data.length;
          witness.note(`${isBinary ? "binary" : "text"} ${data.length > 40 ? data.length : data}`);
          receive?.(socket, data);
        },
        drained: () => witness.note("drained"),
        broken: code => {
          witness.note(`broken ${code}`);
          socket.end(code, "broken");
        },
        left: code => witness.note(`left ${code}`),
      };
    });
    if (!taken) witness.note("not taken");
  };
  const handle = (request: InboundRequest, response: ResponseWriter): void => {
    const { upgrade } = request;
    if (upgrade === undefined) response.send(200, [], `plain ${request.path}`);
    else if (request.path === "/ws/refused") response.send(403, [], "no");
    else if (request.path === "/ws/gone") {
      upgrade.watch();
      request.cancellation.listen(() => void open(upgrade));
      witness.note("asked");
    } else if (request.path === "/ws/late") setImmediate(() => setImmediate(() => void open(upgrade)));
    else void open(upgrade);
  };
  const engine = await start({
    ...onLoopback,
    handle,
    upgrades: target => (target.startsWith("/ws/") ? "socket" : undefined),
    sockets: { maxMessageBytes: 2 * maxMessageBytes, idleTimeoutMs },
  });
  t.after(async () => {
    const closed = engine.close();
    engine.destroy();
    await closed;
  });
  return { port: engine.port, witness, url: path => `ws://127.0.0.1:${engine.port}${path}` };
}

const handshake = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
  "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** A frame as clients send them, masked with zeros. */
function frame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.from([first, 0x80 | length, 0, 0, 0, 0])
      : Buffer.from([first, 0xfe, length >> 8, length & 0xff, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

/** A connection whose handshake is done, and that reads nothing by itself. */
async function raw(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(handshake(path));
  const [head] = await once(socket, "data");
  assert.match(String(head), /^HTTP\/1.1 101 /);
  return socket;
}

async function opened(url: string, protocols: string[] = []): Promise<WebSocket> {
  const client = new WebSocket(url, protocols, { perMessageDeflate: false });
  client.on("error", () => undefined);
  await once(client, "open");
  return client;
}

const skip = await uwsSkipped();
const engines = [
  ["fastify", startFastifyEngine, false],
  ["uws", startUwsEngine, skip],
] as const;

for (const [name, start, skipped] of engines) {
  describe(`sockets of clients on ${name}`, { skip: skipped, timeout: 60_000 }, () => {
    for (const path of ["/ws/now", "/ws/late"]) {
      test(`a socket opened at ${path} sends and receives text and bytes and ends with code and reason`, async t => {
        const { witness, url } = await serve(start, t);
        const client = new WebSocket(url(path));
        const [[response]] = await Promise.all([once(client, "upgrade"), once(client, "open")]);
        assert.equal(response.headers["x-own"], "é");
        assert.equal(response.headers["sec-websocket-extensions"], undefined);
        client.send("hällo");
        client.send(Buffer.from([1, 2]));
        await witness.until(() => witness.events.length === 2);
        assert.deepEqual(witness.events, ["text hällo", `binary ${Buffer.from([1, 2])}`]);
        const got: unknown[] = [];
        client.on("message", (data, isBinary) => got.push([isBinary, String(data)]));
        witness.socket?.sendText("ö");
        witness.socket?.sendBinary(Buffer.from("b"));
        witness.socket?.end(4404, "NOT_FOUND");
        const [code, reason] = await once(client, "close");
        assert.deepEqual(
          [got, code, String(reason)],
          [
            [
              [false, "ö"],
              [true, "b"],
            ],
            4404,
            "NOT_FOUND",
          ],
        );
        assert.equal(witness.events.length, 2);
      });
    }

    test("a request that is no handshake, and one elsewhere, are ordinary requests", async t => {
      const { port } = await serve(start, t);
      const answer = await fetch(`http://127.0.0.1:${port}/ws/now`);
      assert.equal(await answer.text(), "plain /ws/now");
      const socket = connect(port, "127.0.0.1");
      socket.write(handshake("/elsewhere") + handshake("/elsewhere"));
      let text = "";
      while (text.split("plain /elsewhere").length < 3) text += (await once(socket, "data"))[0];
      socket.destroy();
    });

    test("a refused handshake has an ordinary response, and nothing behind it is read as a request", async t => {
      const { port } = await serve(start, t);
      for (const behind of ["", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"]) {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.write(handshake("/ws/refused") + behind);
        let text = "";
        socket.on("data", chunk => {
          text += chunk;
        });
        await once(socket, "close");
        // uWebSockets.js ends a connection with bytes behind a request whose response is due.
        if (behind === "" || name !== "uws") {
          assert.match(text, /^HTTP\/1.1 403 /);
          assert.match(text, /connection: close/i);
        }
        assert.equal(text.includes("smuggled"), false);
      }
    });

    test("a client that closes gives its code, one that vanishes 1006", async t => {
      const { witness, url } = await serve(start, t);
      const one = await opened(url("/ws/now"));
      one.close(4001, "bye");
      await witness.saw("left 4001");
      assert.equal((await once(one, "close"))[0], 4001);
      const two = await opened(url("/ws/now"));
      two.close();
      await witness.saw("left 1005");
      const three = await opened(url("/ws/now"));
      three.terminate();
      await witness.saw("left 1006");
    });

    test("a message above the limit breaks its socket with 1009", async t => {
      const { witness, url } = await serve(start, t);
      const client = await opened(url("/ws/now"));
      client.send("x".repeat(maxMessageBytes));
      await witness.saw(`text ${maxMessageBytes}`);
      client.send("x".repeat(maxMessageBytes + 1));
      assert.equal((await once(client, "close"))[0], 1009);
      await witness.saw("broken 1009");
    });

    test("frames that break RFC 6455 end their socket", async t => {
      const { port, witness } = await serve(start, t);
      for (const bytes of [
        frame(0x81, Buffer.from([0xff, 0xfe])),
        frame(0x83, Buffer.from("x")),
        frame(0xc1, Buffer.from("x")),
      ]) {
        const socket = await raw(port, "/ws/now");
        socket.write(bytes);
        socket.resume();
        await once(socket, "close");
      }
      await witness.until(() => witness.events.length === 3);
      // uWebSockets.js ends the connection without a word.
      const expected = name === "uws" ? [1006, 1006, 1006] : [1007, 1002, 1002];
      assert.deepEqual(
        witness.events.map(event => Number(event.split(" ")[1])),
        expected,
      );
    });

    test("a paused socket stops its client, goes on with nothing lost, and still shows that the client has gone", async t => {
      const pausing: ClientSocket[] = [];
      const { port, witness } = await serve(start, t, socket => {
        if (pausing.length > 0) return;
        pausing.push(socket);
        socket.pause();
      });
      const socket = await raw(port, "/ws/now");
      socket.resume();
      const block = Buffer.concat(Array.from({ length: 64 }, () => frame(0x82, Buffer.alloc(1000))));
      let written = 0;
      while (socket.write(block)) written += 64_000;
      written += 64_000;
      // Until nothing more is taken: buffers of the system and one piece of the engine.
      let still = 0;
      for (let before = -1; still < 3; still = before === witness.bytes ? still + 1 : 0) {
        before = witness.bytes;
        if (socket.writableLength === 0 && written < 64 * mebibyte) {
          socket.write(block);
          written += 64_000;
        }
        await new Promise(resolve => setTimeout(resolve, 20));
      }
      assert.ok(witness.bytes < mebibyte, `${witness.bytes} bytes were read of a paused socket`);
      assert.ok(written > witness.bytes);
      witness.socket?.resume();
      await witness.until(() => witness.bytes >= written);
      assert.equal(witness.bytes, written);
      witness.socket?.pause();
      socket.resetAndDestroy();
      await witness.saw("left 1006");
    });

    test("bytes that wait for a client are counted, and its reading is reported", async t => {
      const { port, witness } = await serve(start, t);
      const socket = await raw(port, "/ws/now");
      await witness.until(() => witness.socket !== undefined);
      socket.pause();
      const own = witness.socket as ClientSocket;
      let sent = 0;
      for (; own.bufferedBytes < mebibyte && sent < 4096; sent++) {
        own.sendText("x".repeat(65_536));
        if (sent % 16 === 0) await new Promise(resolve => setImmediate(resolve));
      }
      assert.ok(own.bufferedBytes >= mebibyte);
      let got = 0;
      socket.on("data", chunk => {
        got += chunk.length;
      });
      socket.resume();
      await witness.saw("drained");
      await witness.until(() => own.bufferedBytes === 0 || got >= sent * 65_536);
      socket.destroy();
    });

    test("a client without pongs is closed after the idle time, one that sends pongs stays", {
      timeout: 60_000,
    }, async t => {
      const { port, witness, url } = await serve(start, t, undefined, 8000);
      const silent = await raw(port, "/ws/now");
      silent.resume();
      const alive = await opened(url("/ws/late"));
      await once(silent, "close");
      await witness.saw("left 1006");
      assert.equal(alive.readyState, WebSocket.OPEN);
      alive.terminate();
    });

    test("a client that leaves before its socket is opened is not taken", async t => {
      const { port, witness } = await serve(start, t);
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(handshake("/ws/gone"));
      await witness.saw("asked");
      socket.resetAndDestroy();
      await witness.saw("not taken");
    });
  });
}
