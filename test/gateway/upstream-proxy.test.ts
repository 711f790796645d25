import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { echoProto, startEcho } from "./echo.js";
import { send, startTestGateway } from "./harness.js";

interface Proxied {
  readonly url: string;
  close(): Promise<void>;
}

/** The echo service behind an upstream that answers each stream as it likes. */
async function startProxied(
  transport: string,
  answer: (stream: ServerHttp2Stream) => void,
  timeout = "5s",
): Promise<Proxied> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", session => sessions.add(session));
  server.on("stream", stream => {
    stream.on("error", () => {});
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${port}"], timeout: ${timeout}, transport: ${transport} } }
services: [{ service: test.v1.Echo, upstream: echo }]
`,
    { "protos/echo.proto": echoProto },
  );
  return {
    url: gateway.url,
    close: async () => {
      await gateway.close();
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

const page: [type: string, body: string] = ["text/html", "<!DOCTYPE html><p>sorry</p>"];

for (const transport of ["lean", "grpc-js"]) {
  describe(`a proxy before the backend, on the transport ${transport}`, () => {
    let answer: (stream: ServerHttp2Stream) => void = () => {};
    const started = startProxied(transport, stream => answer(stream));
    after(async () => (await started).close());

    for (const [http, expected, code, reason] of [
      [503, 503, status.UNAVAILABLE, "UNAVAILABLE"],
      [502, 503, status.UNAVAILABLE, "UNAVAILABLE"],
      [504, 503, status.UNAVAILABLE, "UNAVAILABLE"],
      [429, 503, status.UNAVAILABLE, "UNAVAILABLE"],
      [401, 401, status.UNAUTHENTICATED, "UNAUTHENTICATED"],
      [403, 403, status.PERMISSION_DENIED, "PERMISSION_DENIED"],
      [404, 501, status.UNIMPLEMENTED, "UNIMPLEMENTED"],
      [400, 502, status.INTERNAL, "UPSTREAM_PROTOCOL"],
      [500, 502, status.INTERNAL, "UPSTREAM_PROTOCOL"],
    ] as const) {
      for (const body of [page, undefined]) {
        it(`a proxy before the backend, on the transport ${transport} that responds with HTTP ${http} ${body === undefined ? "without content" : "with a page"} is ${expected} ${reason}`, async () => {
          answer = stream => {
            stream.respond(
              { ":status": http, ...(body !== undefined && { "content-type": body[0] }) },
              { endStream: body === undefined },
            );
            if (body !== undefined) stream.end(body[1]);
          };
          const got = await send(`${(await started).url}/v1/items/a`);
          assert.deepEqual([got.status, got.json.code, got.json.reason], [expected, code, reason]);
          assert.equal(got.headers.get("www-authenticate"), expected === 401 ? "Bearer" : null);
        });
      }
    }

    for (const [reset, expected, reason] of [
      [constants.NGHTTP2_CANCEL, 499, "CANCELLED"],
      [constants.NGHTTP2_ENHANCE_YOUR_CALM, 429, "RESOURCE_EXHAUSTED"],
      [constants.NGHTTP2_INADEQUATE_SECURITY, 403, "PERMISSION_DENIED"],
      [constants.NGHTTP2_INTERNAL_ERROR, 502, "UPSTREAM_PROTOCOL"],
      [constants.NGHTTP2_PROTOCOL_ERROR, 502, "UPSTREAM_PROTOCOL"],
      [constants.NGHTTP2_FLOW_CONTROL_ERROR, 502, "UPSTREAM_PROTOCOL"],
    ] as const) {
      it(`a proxy before the backend, on the transport ${transport} that resets a stream with code ${reset} is ${expected} ${reason}`, async () => {
        answer = stream => stream.close(reset);
        const got = await send(`${(await started).url}/v1/items/a`);
        assert.deepEqual([got.status, got.json.reason], [expected, reason]);
      });
    }
  });

  it(`a stream that the backend cancels after the deadline has passed is 504 on the transport ${transport}`, async () => {
    // Far deadlines are looked at every 50 ms, so that the backend's reset may come first.
    const proxied = await startProxied(
      transport,
      stream => setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 1005),
      "1s",
    );
    try {
      const got = await send(`${proxied.url}/v1/items/a`);
      assert.deepEqual([got.status, got.json.code], [504, status.DEADLINE_EXCEEDED]);
    } finally {
      await proxied.close();
    }
  });
}

describe("UNAUTHENTICATED of a backend", () => {
  for (const profile of ["status", "google", "problem", "chat-api"]) {
    it(`UNAUTHENTICATED of a backend is 401 with WWW-Authenticate in the dialect ${profile}`, async () => {
      const system = await startEcho(`errors: ${profile}`, "", {
        Get: (_call, reply) => reply({ code: status.UNAUTHENTICATED, details: "who?" }),
      });
      try {
        const got = await send(`${system.gateway.url}/v1/items/a`);
        assert.deepEqual([got.status, got.headers.get("www-authenticate")], [401, "Bearer"]);
      } finally {
        await system.close();
      }
    });
  }

  it("a backend's UNAUTHENTICATED carries the challenges of the route's providers", async () => {
    const secret = "a secret of more than thirty-two bytes";
    const token = await new SignJWT({ sub: "me" })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h")
      .sign(Buffer.from(secret));
    const system = await startEcho(
      "auth: [users]",
      `auth: { providers: { users: { type: jwt, secret: ${secret}, algorithms: [HS256] } } }`,
      { Get: (_call, reply) => reply({ code: status.UNAUTHENTICATED, details: "who?" }) },
    );
    try {
      const missing = await send(`${system.gateway.url}/v1/items/a`);
      const headers = { authorization: `Bearer ${token}` };
      const refused = await send(`${system.gateway.url}/v1/items/a`, { headers });
      assert.equal(refused.status, 401);
      assert.equal(refused.json.message, "who?");
      assert.equal(refused.headers.get("www-authenticate"), missing.headers.get("www-authenticate"));
    } finally {
      await system.close();
    }
  });

  it("a backend's own challenge is kept where its metadata is forwarded", async () => {
    const { Metadata } = await import("@grpc/grpc-js");
    const metadata = new Metadata();
    metadata.set("www-authenticate", 'Bearer realm="shop"');
    const system = await startEcho("metadata: { response: [www-authenticate] }", "", {
      Get: (_call, reply) => reply({ code: status.UNAUTHENTICATED, details: "who?", metadata }),
    });
    try {
      const got = await send(`${system.gateway.url}/v1/items/a`);
      assert.equal(got.headers.get("www-authenticate"), 'Bearer realm="shop"');
    } finally {
      await system.close();
    }
  });
});
