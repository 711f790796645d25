import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { send, startTestGateway, type TestGateway } from "./harness.js";

/** What a backend sends, and the status that a client gets; undefined: the response may also be cut. */
interface Reply {
  readonly bytes: string;
  readonly status: string;
  /** For a HEAD request, where it differs: nothing of a body is waited for. */
  readonly head?: string;
  /** The backend keeps the connection open. */
  readonly stalls?: boolean;
}

const ok = "HTTP/1.1 200 OK\r\n";
const replies: Readonly<Record<string, Reply>> = {
  "not-modified-length": { bytes: "HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", status: "304" },
  "no-content-zero": {
    bytes: "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    status: "204",
    stalls: true,
  },
  "no-content-length": { bytes: "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", status: "204" },
  "reset-body": { bytes: "HTTP/1.1 205 Reset Content\r\ncontent-length: 2\r\n\r\nok", status: "205" },
  "stalled-body": { bytes: `${ok}content-length: 10\r\n\r\n`, status: "504", head: "200", stalls: true },
  "stalled-chunks": {
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n`,
    status: "504",
    head: "200",
    stalls: true,
  },
  "stalled-head": { bytes: `${ok}x: `, status: "504", stalls: true },
  "only-interim": { bytes: "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", status: "504", stalls: true },
  "bad-chunk": { bytes: `${ok}transfer-encoding: chunked\r\n\r\nxyz\r\n`, status: "502", head: "200" },
  "no-body": { bytes: `${ok}content-length: 10\r\n\r\n`, status: "502", head: "200" },
  "status-600": { bytes: "HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", status: "502" },
  "status-999": { bytes: "HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", status: "502" },
  "status-000": { bytes: "HTTP/1.1 000 Odd\r\ncontent-length: 0\r\n\r\n", status: "502" },
  "status-099": { bytes: "HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n", status: "502" },
  switching: {
    bytes: "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    status: "502",
  },
  garbage: { bytes: "\x00\x01\x02\r\n\r\n", status: "502" },
  "huge-head": { bytes: `${ok}x: ${"y".repeat(70_000)}\r\n\r\n`, status: "502" },
  "two-lengths": { bytes: `${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nok`, status: "502" },
  "obs-text": { bytes: `${ok}x-obs: caf\xe9\r\ncontent-length: 2\r\n\r\nok`, status: "200" },
  "interim-first": {
    bytes: `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    status: "200",
  },
  trailers: {
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n`,
    status: "200",
  },
};

/** Requests by their method and framing. */
const forms = {
  GET: ["GET", "", ""],
  HEAD: ["HEAD", "", ""],
  "POST with a length": ["POST", "content-length: 2\r\n", "ab"],
  "POST in chunks": ["POST", "transfer-encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"],
} as const;

const large = Buffer.alloc(4 << 20, "x");
const targets: string[] = [];
const open = new Set<Socket>();
const backend = createServer(socket => {
  open.add(socket);
  socket.once("close", () => open.delete(socket));
  socket.on("error", () => undefined);
  socket.on("data", chunk => {
    const target = /^[A-Z]+ (\S+) HTTP/.exec(String(chunk))?.[1];
    // The rest of a body.
    if (target === undefined) return;
    targets.push(target);
    if (target.startsWith("/large")) {
      const framing = target === "/large" ? "connection: close" : `content-length: ${large.length}`;
      socket.write(`${ok}${framing}\r\n\r\n`);
      socket.end(large);
      return;
    }
    if (target === "/hang") {
      backend.emit("hang", socket);
      return;
    }
    const reply = replies[target.slice(1)];
    const bytes = reply?.bytes ?? `${ok}content-length: 2\r\nconnection: close\r\n\r\nok`;
    if (reply?.stalls === true) socket.write(bytes, "latin1");
    else socket.end(bytes, "latin1");
  });
});

describe(`pass-through of broken requests and responses (${engineUnderTest()})`, () => {
  let gateway: TestGateway;
  const fastify = engineUnderTest() === "fastify";

  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const at = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    gateway = await startTestGateway(
      `
upstreams:
  slow: { protocol: http, targets: ["${at}"], timeout: 60s }
  raw: { protocol: http, targets: ["${at}"], timeout: 300ms }
http:
  proxy:
    - { prefix: /to, upstream: raw, rewrite: /, websocket: ${fastify} }
    - { prefix: /below, upstream: raw, rewrite: /x }
    - { prefix: /kept, upstream: raw }
    - { prefix: /slow, upstream: slow, rewrite: / }
`,
      {},
    );
  });
  after(async () => {
    await gateway.close();
    for (const socket of open) socket.destroy();
    backend.close();
  });

  async function ask(head: string, body = ""): Promise<string> {
    return (await converse(gateway.httpPort, [`${head}\r\n${body}`], 1, true)).text;
  }

  async function idle(): Promise<void> {
    const { text } = await send(`${gateway.admin}/metrics`);
    assert.match(text, /protogate_http_requests_in_flight 0\n/);
  }

  for (const [form, [method, framing, body]] of Object.entries(forms)) {
    test(`a hostile backend's response to ${form} has its status`, async () => {
      const found = await Promise.all(
        Object.keys(replies).map(async name => {
          const line = `${method} /to/${name} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${framing}`;
          const text = await ask(line, body);
          assert.doesNotMatch(text, /"null"|null$/, name);
          if (method === "HEAD") assert.match(text, /\r\n\r\n$/, name);
          return [name, statusesOf(text).at(-1)];
        }),
      );
      const expected = Object.entries(replies).map(([name, { status, head }]) => [
        name,
        method === "HEAD" ? (head ?? status) : status,
      ]);
      assert.deepEqual(found, expected);
      await idle();
    });
  }

  test("bytes above ASCII in a response header come as they are", async () => {
    const text = await ask("GET /to/obs-text HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    assert.match(text, /\r\nx-obs: caf\xe9\r\n/);
  });

  test("a header with DEL is 400, as often as it comes, and leaves no state", async () => {
    for (let batch = 0; batch < 24; batch++) {
      const texts = await Promise.all(
        Array.from({ length: 50 }, () => ask("GET /to/x HTTP/1.1\r\nhost: a\r\nx: a\x7fb\r\n")),
      );
      assert.deepEqual([...new Set(texts.flatMap(statusesOf))], ["400"]);
    }
    assert.equal((await send(`${gateway.url}/to/x`)).status, 200);
    await idle();
  });

  test("a path with a control character or with two readings is 400 and reaches no backend", async () => {
    const before = targets.length;
    const paths: string[] = [];
    for (let code = 0; code < 33; code++) {
      const digits = (code === 32 ? 0x7f : code).toString(16).padStart(2, "0");
      paths.push(
        `/to/admin%${digits}`,
        `/kept/a%${digits}b/c`,
        `/below/${digits === "0a" ? "%0A" : `%${digits}`}`,
      );
    }
    paths.push("/kept/admin#", "/kept/a\\b", "/to/./x", "/to/%2e/x", "/to/%2E%2e/x", "/to/x/..", "/below/.");
    for (const path of paths) {
      const text = await ask(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 [\s\S]*MALFORMED_PATH/, path);
    }
    assert.equal(targets.length, before);
  });

  test("a rewritten path keeps its query and everything below the prefix", async () => {
    for (const [path, mapped] of [
      ["/to", "/"],
      ["/to?a=1", "/?a=1"],
      ["/to?a=/b?c", "/?a=/b?c"],
      ["/to/?a=1", "/?a=1"],
      ["/to/a%2Fb?x=%20&x", "/a%2Fb?x=%20&x"],
      ["/to/a%252e", "/a%252e"],
      ["/%74o/a?b", "/a?b"],
      ["/below", "/x"],
      ["/below?a=1", "/x?a=1"],
      ["/below/?a=1", "/x/?a=1"],
      ["/below/a//b", "/x/a//b"],
      ["/kept?a=1", "/kept?a=1"],
      ["/kept/a|b'", "/kept/a|b'"],
    ] as const) {
      const text = await ask(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n`);
      assert.match(text, /^HTTP\/1\.1 200 /, path);
      assert.equal(targets.at(-1), mapped, path);
    }
  });

  for (const path of ["/large", "/large/sized"]) {
    test(`a large response to chunks comes whole from ${path}, and its connection serves no more`, async () => {
      const text = await ask(
        `POST /slow${path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n`,
        "1\r\na\r\n0\r\n\r\n",
      );
      const [head = "", ...rest] = text.split("\r\n\r\n");
      assert.equal(head.match(/connection: close/gi)?.length, 1, head);
      const body = rest.join("\r\n\r\n");
      assert.equal((/chunked/i.test(head) ? body.replaceAll(/[^x]/g, "") : body).length, large.length);
    });

    test(`unread large responses to chunks from ${path} are not collected`, async () => {
      const before = process.memoryUsage().arrayBuffers;
      const sockets = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const socket = connect(gateway.httpPort, "127.0.0.1");
          socket.on("error", () => undefined);
          socket.write(
            `POST /slow${path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
          );
          await once(socket, "readable");
          return socket;
        }),
      );
      const grown = process.memoryUsage().arrayBuffers - before;
      for (const socket of sockets) socket.destroy();
      assert.ok(grown < 40 << 20, `${grown} bytes`);
    });
  }

  test("a client that leaves after its whole request ends the backend's", async () => {
    const arrived = once(backend, "hang");
    const client = connect(gateway.httpPort, "127.0.0.1");
    client.write("POST /slow/hang HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab");
    const [socket] = (await arrived) as [Socket];
    const closed = once(socket, "close");
    client.destroy();
    await closed;
  });

  test("an upgrade that a backend refuses or breaks has a status of its own", {
    skip: !fastify,
  }, async () => {
    const upgrade =
      "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (const [name, status] of [
      ["status-600", "502"],
      ["status-999", "502"],
      ["status-000", "502"],
      ["status-099", "502"],
      ["switching", "502"],
      ["garbage", "502"],
      ["huge-head", "502"],
      ["only-interim", "504"],
      ["stalled-head", "504"],
      ["stalled-body", "504"],
      ["stalled-chunks", "504"],
      ["bad-chunk", "502"],
      ["not-modified-length", "304"],
    ] as const) {
      const text = await ask(`GET /to/${name} HTTP/1.1\r\nhost: a\r\n${upgrade}`);
      assert.equal(statusesOf(text).at(-1), status, name);
    }
    await idle();
  });
});
