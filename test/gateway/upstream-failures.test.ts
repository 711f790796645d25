import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { echoProto, startEcho } from "./echo.js";
import { type RawHandler, send, startTestGateway } from "./harness.js";

/** A google.rpc.Status with the given Any details, as `grpc-status-details-bin` carries it. */
function statusDetails(
  code: number,
  details: readonly (readonly [typeUrl: string, value: Buffer])[],
): Buffer {
  const bytes = (number: number, value: Buffer): Buffer =>
    Buffer.concat([Buffer.of((number << 3) | 2, value.length), value]);
  const any = details.map(([typeUrl, value]) =>
    bytes(3, Buffer.concat([bytes(1, Buffer.from(typeUrl)), bytes(2, value)])),
  );
  return Buffer.concat([Buffer.of(8, code), ...any]);
}

function failing(code: number, details: string, metadata = new Metadata()): RawHandler {
  return (_call, reply) => reply({ code, details, metadata });
}

const text = (number: number, value: string): Buffer =>
  Buffer.concat([Buffer.of((number << 3) | 2, Buffer.byteLength(value)), Buffer.from(value)]);

function richFailure(): RawHandler {
  const metadata = new Metadata();
  metadata.set(
    "grpc-status-details-bin",
    statusDetails(status.ALREADY_EXISTS, [
      [
        "type.googleapis.com/google.rpc.ErrorInfo",
        Buffer.concat([text(1, "LOGIN_TAKEN"), text(2, "chat.example")]),
      ],
      ["type.googleapis.com/google.rpc.RetryInfo", Buffer.from([10, 2, 8, 7])],
      [
        "type.googleapis.com/google.rpc.Help",
        Buffer.concat([Buffer.of(10, 9), text(1, "docs"), text(2, "x")]),
      ],
      ["type.example/unknown.Thing", Buffer.of(1, 2, 3)],
    ]),
  );
  metadata.set("x-total-count", "7");
  return failing(status.ALREADY_EXISTS, "login is taken", metadata);
}

const statuses: readonly [name: keyof typeof status, http: number][] = [
  ["CANCELLED", 499],
  ["UNKNOWN", 500],
  ["INVALID_ARGUMENT", 400],
  ["DEADLINE_EXCEEDED", 504],
  ["NOT_FOUND", 404],
  ["ALREADY_EXISTS", 409],
  ["PERMISSION_DENIED", 403],
  ["RESOURCE_EXHAUSTED", 429],
  ["FAILED_PRECONDITION", 400],
  ["ABORTED", 409],
  ["OUT_OF_RANGE", 400],
  ["UNIMPLEMENTED", 501],
  ["INTERNAL", 500],
  ["UNAVAILABLE", 503],
  ["DATA_LOSS", 500],
  ["UNAUTHENTICATED", 401],
];

describe("a backend that responds with an error", () => {
  for (const [name, http] of statuses) {
    it(`a backend's ${name} is ${http}`, async () => {
      const system = await startEcho("", "", { Get: failing(status[name], "because") });
      try {
        const answer = await send(`${system.gateway.url}/v1/items/a`);
        assert.equal(answer.status, http);
        assert.deepEqual(answer.json, { code: status[name], reason: name, message: "because", details: [] });
      } finally {
        await system.close();
      }
    });
  }

  it("a backend's code above 16 is 500 unless status_codes gives it a status", async () => {
    const system = await startEcho("", "", { Get: failing(777, "no idea") });
    try {
      const answer = await send(`${system.gateway.url}/v1/items/a`);
      assert.deepEqual([answer.status, answer.json.code], [500, 777]);
    } finally {
      await system.close();
    }
  });

  it("codes above 16 stay in the body, with the status that status_codes gives them", async () => {
    const system = await startEcho("status_codes: { 1500-1599: 401 }", "", {
      Get: failing(1501, "token expired"),
    });
    try {
      const answer = await send(`${system.gateway.url}/v1/items/a`);
      assert.equal(answer.status, 401);
      assert.deepEqual(answer.json, {
        code: 1501,
        reason: "CODE_1501",
        message: "token expired",
        details: [],
      });
    } finally {
      await system.close();
    }
  });

  it("typed details are kept, the reason comes from ErrorInfo and Retry-After from RetryInfo", async () => {
    const system = await startEcho("metadata: { response: [x-total-count] }", "", { Get: richFailure() });
    try {
      const answer = await send(`${system.gateway.url}/v1/items/a`);
      assert.equal(answer.status, 409);
      assert.equal(answer.headers.get("retry-after"), "7");
      assert.equal(answer.headers.get("x-total-count"), "7");
      assert.deepEqual(answer.json, {
        code: 6,
        reason: "LOGIN_TAKEN",
        message: "login is taken",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: "LOGIN_TAKEN",
            domain: "chat.example",
          },
          { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "7s" },
          { "@type": "type.googleapis.com/google.rpc.Help", links: [{ description: "docs", url: "x" }] },
          { "@type": "type.example/unknown.Thing", value: "AQID" },
        ],
      });
    } finally {
      await system.close();
    }
  });
});

describe("error dialects of upstream failures", () => {
  const bodies: readonly [profile: string, type: string, body: object][] = [
    [
      "google",
      "application/json",
      { error: { code: 409, message: "login is taken", status: "ALREADY_EXISTS" } },
    ],
    [
      "problem",
      "application/problem+json",
      {
        type: "about:blank",
        title: "Conflict",
        status: 409,
        detail: "login is taken",
        instance: "/v1/items/a",
        code: 6,
        reason: "LOGIN_TAKEN",
      },
    ],
    ["chat-api", "application/json", { error: "login is taken" }],
  ];
  for (const [profile, type, body] of bodies) {
    it(`the dialect ${profile} changes the body, never the metrics`, async () => {
      const system = await startEcho(`errors: ${profile}`, "", { Get: richFailure() });
      try {
        const answer = await send(`${system.gateway.url}/v1/items/a`);
        assert.equal(answer.status, 409);
        assert.equal(answer.headers.get("content-type"), type);
        assertContains(answer.json, body);
        const metrics = await send(`${system.gateway.admin}/metrics`);
        assert.match(
          metrics.text,
          /protogate_http_requests_total\{route="\/v1\/items\/\{id\}",method="GET",code="409",grpc_code="ALREADY_EXISTS",service="test\.v1\.Echo"\} 1/,
        );
      } finally {
        await system.close();
      }
    });
  }
});

describe("an upstream that misbehaves", () => {
  it("an upstream that is down is 503 without its address", async () => {
    const system = await startEcho();
    await system.backend.close();
    const answer = await send(`${system.gateway.url}/v1/items/a`);
    assert.equal(answer.status, 503);
    assert.equal(answer.json.reason, "UPSTREAM_UNAVAILABLE");
    assert.doesNotMatch(answer.text, /127\.0\.0\.1|ECONN/);
    const line = await system.gateway.logged(entry => entry.reason === "UPSTREAM_UNAVAILABLE");
    assert.match(String(line.detail), /connect/i);
    await system.gateway.close();
  });

  it("a slow upstream gets 504 after the route timeout and its call is cancelled", async () => {
    let cancelled: () => void = () => undefined;
    const whenCancelled = new Promise<void>(resolve => {
      cancelled = resolve;
    });
    const hang: RawHandler = call => void call.on("cancelled", () => cancelled());
    const system = await startEcho("methods: { Get: { timeout: 1s } }", "", { Get: hang });
    try {
      const answer = await send(`${system.gateway.url}/v1/items/a`);
      assert.equal(answer.status, 504);
      // The backend has the same deadline: which of the two is first is left to their clocks.
      assert.match(String(answer.json.reason), /^(UPSTREAM_TIMEOUT|DEADLINE_EXCEEDED)$/);
      await whenCancelled;
    } finally {
      await system.close();
    }
  });

  it("an upstream gets a client's shorter timeout, and never a longer one", async () => {
    const deadlines: number[] = [];
    const timed: RawHandler = (call, reply) => {
      deadlines.push(Number(call.getDeadline()) - Date.now());
      reply(null, call.request);
    };
    const system = await startEcho("timeout: 3s", "", { Get: timed });
    try {
      const url = `${system.gateway.url}/v1/items/a`;
      await send(url, { headers: { "grpc-timeout": "1S" } });
      await send(url, { headers: { "x-request-timeout": "1500ms" } });
      await send(url, { headers: { "x-request-timeout": "1m" } });
      assert.ok((deadlines[0] ?? 9e9) <= 1000);
      assert.ok((deadlines[1] ?? 9e9) <= 1500);
      assert.ok((deadlines[2] ?? 9e9) <= 3000);
    } finally {
      await system.close();
    }
  });

  it("an upstream that responds with garbage is 502, and the next call succeeds", async () => {
    let garbage = true;
    const handler: RawHandler = (call, reply) =>
      reply(null, garbage ? Buffer.from([0xff, 0xff, 0xff]) : call.request);
    const system = await startEcho("", "", { Get: handler });
    try {
      const answer = await send(`${system.gateway.url}/v1/items/a`);
      assert.equal(answer.status, 502);
      assert.equal(answer.json.reason, "UPSTREAM_MALFORMED_MESSAGE");
      garbage = false;
      assert.equal((await send(`${system.gateway.url}/v1/items/a`)).status, 200);
    } finally {
      await system.close();
    }
  });

  it("an upstream that does not speak gRPC is 502 or 503 and never hangs", async () => {
    const server = createServer(socket => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${port}"], timeout: 5s } }
services: [{ service: test.v1.Echo, upstream: echo }]
`,
      { "protos/echo.proto": echoProto },
    );
    try {
      const answer = await send(`${gateway.url}/v1/items/a`);
      assert.ok(answer.status === 502 || answer.status === 503, String(answer.status));
    } finally {
      await gateway.close();
      server.close();
    }
  });

  it("a client that goes away cancels the upstream call, which counts as 499", async () => {
    let reached: () => void = () => undefined;
    const whenReached = new Promise<void>(resolve => {
      reached = resolve;
    });
    let cancelled: () => void = () => undefined;
    const whenCancelled = new Promise<void>(resolve => {
      cancelled = resolve;
    });
    const hang: RawHandler = call => {
      call.on("cancelled", () => cancelled());
      reached();
    };
    const system = await startEcho("", "", { Get: hang });
    try {
      const controller = new AbortController();
      const request = fetch(`${system.gateway.url}/v1/items/a`, { signal: controller.signal });
      await whenReached;
      controller.abort();
      await assert.rejects(request);
      await whenCancelled;
      const line = await system.gateway.logged(entry => entry.status === 499);
      assert.equal(line.reason, "CLIENT_CLOSED");
    } finally {
      await system.close();
    }
  });
});

/** Every key of `expected` is in `actual` with an equal value; further keys do not matter. */
function assertContains(actual: unknown, expected: object): void {
  for (const [key, value] of Object.entries(expected)) {
    const found = (actual as Record<string, unknown>)[key];
    if (typeof value === "object") assertContains(found, value);
    else assert.equal(found, value, key);
  }
}
