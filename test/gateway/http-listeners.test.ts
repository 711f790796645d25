import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { engineUnderTest } from "../engine.js";
import { exchangeHttp2 } from "../http2-client.js";
import { freePorts, untilRefuses } from "../ports.js";
import { converse } from "../server/raw-client.js";
import { echoProto } from "./echo.js";
import { type Backend, echo, startBackend } from "./harness.js";
import { askHost, type ListenersGateway, startListeners } from "./own-listeners.js";

describe("several HTTP listeners", () => {
  let backend: Backend;
  let open: ListenersGateway | undefined;
  before(async () => {
    backend = await startBackend({ "/test.v1.Echo/Get": echo });
  });
  after(() => backend.close());

  const yaml = (more = ""): string => `descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
${more}`;
  const start = (http: string, more = ""): Promise<ListenersGateway> =>
    startListeners(http, yaml(more), { "protos/echo.proto": echoProto });
  const listener = (name: string, more = "", address = "127.0.0.1:0"): string =>
    `{ name: ${name}, address: "${address}", engine: ENGINE${more} }`;
  const run = async (
    http: string,
    more: string,
    test: (started: ListenersGateway, ports: Readonly<Record<string, number>>) => Promise<void>,
  ): Promise<void> => {
    open = await start(http, more);
    try {
      await test(open, open.gateway.httpPorts);
    } finally {
      await open.close();
    }
  };

  it("each listener of a list serves the routes, and the start is logged with their ports", async () => {
    await run(`[${listener("inside")}, ${listener("outside")}]`, "", async ({ log }, ports) => {
      assert.deepEqual(Object.keys(ports), ["inside", "outside"]);
      for (const port of Object.values(ports))
        assert.equal((await askHost(port, "/v1/items/a", "any.example")).text, '{"id":"a"}');
      assert.deepEqual(log.find(({ msg }) => msg === "ready")?.http, ports);
    });
  });

  it("documents are served by the listeners that http.docs.listeners names, and by no other", async () => {
    const docs = "http: { docs: { path: /docs, listeners: [inside] } }";
    await run(
      `[${listener("inside")}, ${listener("outside")}]`,
      docs,
      async (_, { inside = 0, outside = 0 }) => {
        assert.equal((await askHost(inside, "/openapi.json", "a")).status, 200);
        assert.equal((await askHost(outside, "/openapi.json", "a")).status, 404);
        assert.equal((await askHost(outside, "/docs", "a")).status, 404);
        assert.equal((await askHost(outside, "/v1/items/a", "a")).status, 200);
      },
    );
  });

  it("rooms are shared by the sockets of all listeners", async () => {
    await run(
      `[${listener("inside")}, ${listener("outside")}]`,
      'realtime: { path: /ws, auth: none, origins: ["*"] }',
      async (_, { inside, outside }) => {
        const sockets = await Promise.all(
          [inside, outside].map(async port => {
            const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
            await once(socket, "open");
            return socket;
          }),
        );
        const [first, second] = sockets as [WebSocket, WebSocket];
        const received = (socket: WebSocket, part: string): Promise<void> =>
          new Promise(resolve => {
            socket.on("message", data => {
              if (String(data).includes(part)) resolve();
            });
          });
        const delivered = received(second, "over there");
        for (const socket of sockets) {
          const joined = received(socket, '"id":1');
          socket.send('{"type":"join-room","room_id":"r","from":"a","id":1}');
          await joined;
        }
        first.send('{"type":"send-message","room_id":"r","message":"over there","id":2}');
        await delivered;
        for (const socket of sockets) socket.terminate();
      },
    );
  });

  it("a listener serves its hosts, whatever their case, port and final dot, and refuses others with 421", async () => {
    const hosts = ", hosts: [API.example.com, '*.example.org', '[::1]']";
    await run(`[${listener("main", hosts)}]`, "", async (_, { main = 0 }) => {
      for (const host of [
        "api.example.com",
        "Api.Example.COM:8443",
        "api.example.com.",
        "api.example.com.:80",
        "a.example.org",
        "b.a.EXAMPLE.org.",
        "[::1]",
        "[0:0::1]:80",
      ])
        assert.equal((await askHost(main, "/v1/items/a", host)).status, 200, host);
      for (const host of [
        "example.com",
        "example.org",
        "evil.com",
        "api.example.com.evil.com",
        "xexample.org",
      ]) {
        const { status, text } = await askHost(main, "/v1/items/a", host);
        assert.equal(status, 421, host);
        assert.deepEqual(JSON.parse(text), {
          code: 7,
          reason: "MISDIRECTED_REQUEST",
          message: `the host ${host} is not served here`,
          details: [],
        });
      }
      assert.equal((await askHost(main, "/v1/items/a", "a b")).status, 400);
      // uWebSockets.js does not speak HTTP/1.0.
      if (engineUnderTest() === "uws") return;
      const { text } = await converse(main, ["GET /v1/items/a HTTP/1.0\r\n\r\n"], 1, false);
      assert.match(text, /^HTTP\/1\.[01] 421 /);
      assert.match(text, /the request names no host; expected a Host header/);
    });
  });

  it("over HTTP/2 the host is that of :authority", { skip: engineUnderTest() === "uws" }, async () => {
    await run(`[${listener("main", ", hosts: [api.example.com]")}]`, "", async (_, { main = 0 }) => {
      const ask = (host: string): ReturnType<typeof exchangeHttp2> =>
        exchangeHttp2(main, "GET", "/v1/items/a", { host }, undefined);
      assert.equal((await ask("API.example.com:443")).status, 200);
      assert.equal((await ask("other.example.com")).status, 421);
    });
  });

  it("sockets are opened at the hosts of the listener alone", async () => {
    await run(
      `[${listener("main", ", hosts: [api.example.com]")}]`,
      'realtime: { path: /ws, auth: none, origins: ["*"] }',
      async (_, { main }) => {
        const socket = new WebSocket(`ws://127.0.0.1:${main}/ws`, { headers: { host: "api.example.com" } });
        await once(socket, "open");
        socket.terminate();
        const refused = new WebSocket(`ws://127.0.0.1:${main}/ws`, { headers: { host: "evil.com" } });
        const [, response] = (await once(refused, "unexpected-response")) as [
          unknown,
          { statusCode: number },
        ];
        assert.equal(response.statusCode, 421);
        refused.on("error", () => undefined);
        refused.terminate();
      },
    );
  });

  describe("redirect_to_https", () => {
    const http = (redirect: string, hosts = ""): string =>
      `[${listener("plain", `, redirect_to_https: ${redirect}${hosts}`)}, ${listener("main")}]`;

    it("a request is sent to the same host, path and query by HTTPS with 308, whatever its method", async () => {
      await run(http("true"), "", async (_, { plain = 0 }) => {
        for (const [host, path, location] of [
          ["api.example.com", "/v1/items/a?x=1&y=%20", "https://api.example.com/v1/items/a?x=1&y=%20"],
          ["API.example.com:8080", "/", "https://api.example.com/"],
          ["[::1]:80", "//evil.com/%2e%2e", "https://[::1]//evil.com/%2e%2e"],
        ] as const) {
          const { status, headers, text } = await askHost(plain, path, host, { method: "POST", body: "{}" });
          assert.deepEqual([status, headers.location, text], [308, location, ""]);
        }
        assert.equal((await askHost(plain, "/openapi.json", "a.b")).status, 308);
      });
    });

    it("the port of the redirect is the one that the configuration names", async () => {
      await run(http("{ port: 8443 }"), "", async (_, { plain = 0 }) => {
        const { headers } = await askHost(plain, "/a", "api.example.com:8080");
        assert.equal(headers.location, "https://api.example.com:8443/a");
      });
    });

    it("only hosts that are served are redirected, malformed ones are 400", async () => {
      await run(http("true", ", hosts: [api.example.com]"), "", async (_, { plain = 0 }) => {
        assert.equal((await askHost(plain, "/a", "api.example.com")).status, 308);
        assert.equal((await askHost(plain, "/a", "evil.com")).status, 421);
        for (const host of [
          "api.example.com@evil.com",
          "api.example.com/evil",
          "a:b:c",
          "api.example.com\\.evil",
        ])
          assert.equal((await askHost(plain, "/a", host)).status, 400, host);
      });
    });

    it("a request without a host cannot be redirected", { skip: engineUnderTest() === "uws" }, async () => {
      await run(http("true"), "", async (_, { plain = 0 }) => {
        const { text } = await converse(plain, ["GET /a HTTP/1.0\r\n\r\n"], 1, false);
        assert.match(text, /^HTTP\/1\.[01] 400 /);
      });
    });

    it("no socket is opened where requests are redirected", async () => {
      const realtime = 'realtime: { path: /ws, auth: none, origins: ["*"] }';
      await run(http("true"), realtime, async (_, { plain }) => {
        const socket = new WebSocket(`ws://127.0.0.1:${plain}/ws`);
        const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
        assert.equal(response.statusCode, 308);
        socket.on("error", () => undefined);
        socket.terminate();
      });
    });
  });

  describe("at a reload", () => {
    it("a listener is added, renamed and removed, and requests of others go on", async () => {
      const [a = 0, b = 0] = await freePorts(2);
      const at = (name: string, port: number): string => listener(name, "", `127.0.0.1:${port}`);
      await run(`[${at("first", a)}]`, "", async ({ gateway, reload, config }) => {
        const kept = connect(a, "127.0.0.1");
        const ask = async (): Promise<void> => {
          kept.write("GET /v1/items/a HTTP/1.1\r\nhost: a\r\n\r\n");
          const [chunk] = await once(kept, "data");
          assert.match(String(chunk), /^HTTP\/1\.1 200 /);
        };
        await ask();
        assert.equal(await reload(`[${at("one", a)}, ${at("two", b)}]`), undefined);
        assert.deepEqual(gateway.httpPorts, { one: a, two: b });
        assert.equal((await askHost(b, "/v1/items/b", "a")).text, '{"id":"b"}');
        await ask();
        assert.equal(await reload(`[${at("one", a)}]`), undefined);
        await untilRefuses(b);
        await ask();
        assert.deepEqual((await config()).needs_restart, []);
        kept.destroy();
      });
    });

    it("a listener moves to another port, and the old one is closed", async () => {
      const [a = 0, b = 0] = await freePorts(2);
      const single = (port: number): string => `{ address: "127.0.0.1:${port}", engine: ENGINE }`;
      await run(single(a), "", async ({ gateway, reload }) => {
        assert.equal(await reload(single(b)), undefined);
        assert.equal(gateway.httpPort, b);
        assert.equal((await askHost(b, "/v1/items/a", "a")).status, 200);
        await untilRefuses(a);
      });
    });

    it("hosts and redirects change, what the open port cannot change needs a restart and is named", async () => {
      const [a = 0] = await freePorts(1);
      const main = (more: string): string =>
        `[${listener("main", more, `127.0.0.1:${a}`)}, ${listener("other")}]`;
      await run(main(""), "", async ({ reload, config }) => {
        await reload(main(", hosts: [api.example.com]"));
        assert.equal((await askHost(a, "/v1/items/a", "other")).status, 421);
        await reload(main(", redirect_to_https: true"));
        assert.equal((await askHost(a, "/v1/items/a", "other")).status, 308);
        await reload(main("").replace("ENGINE", engineUnderTest() === "uws" ? "fastify" : "uws"));
        assert.deepEqual((await config()).needs_restart, ["listeners.http[0].engine"]);
        assert.equal((await askHost(a, "/v1/items/a", "other")).status, 200);
        await reload(main(""));
        assert.deepEqual((await config()).needs_restart, []);
      });
    });

    it("a listener that cannot be opened is a failed reload, and nothing has changed", async () => {
      await run(`[${listener("main")}]`, "", async ({ gateway, reload }, { main = 0 }) => {
        const [free = 0] = await freePorts(1);
        const error = await reload(
          `[${listener("added", "", `127.0.0.1:${free}`)}, ${listener("taken", "", `127.0.0.1:${gateway.adminPort}`)}]`,
        );
        assert.match(error ?? "", /is in use by another process/);
        assert.deepEqual(gateway.httpPorts, { main });
        assert.equal((await askHost(main, "/v1/items/a", "a")).status, 200);
        await untilRefuses(free);
      });
    });
  });
});
