import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { client, startLoginIssuer } from "../auth/login/login-issuer.js";
import { type BrowserRequest, type Reach, reachAt, TestBrowser } from "../auth/login/test-browser.js";
import { engineUnderTest } from "../engine.js";
import { echoProto } from "./echo.js";
import { echo, startBackend } from "./harness.js";
import { startListeners } from "./own-listeners.js";

const shop = "https://shop.test";

/** Each cookie in a field of its own, behind two that are none of the gateway's. */
function fieldsOf({ headers = {} }: BrowserRequest): readonly (readonly [string, string])[] {
  const { cookie = "", ...others } = headers;
  const own = cookie === "" ? [] : cookie.split("; ");
  return [
    ...Object.entries(others),
    ...["theme=dark", "", ...own, "a=b"].map(each => ["cookie", each] as const),
  ];
}

describe(`logins over TLS (${engineUnderTest()})`, { skip: withoutOpenssl }, async () => {
  if (withoutOpenssl !== false) return;
  const authority = new Authority("shop");
  const { certFile, keyFile } = authority.issue("shop", "/CN=shop", "DNS.1=shop.test");
  const issuer = await startLoginIssuer([shop]);
  const backend = await startBackend({ "/test.v1.Echo/Get": echo });
  const { gateway, close } = await startListeners(
    `{ address: "127.0.0.1:0", engine: ENGINE, tls: { cert: ${certFile}, key: ${keyFile} } }`,
    `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"], timeout: 30s } }
services: [{ service: test.v1.Echo, upstream: echo }]
auth:
  default: [web]
  providers:
    web:
      type: oidc_login
      issuer: ${issuer.url}
      client_id: ${client.id}
      client_secret: ${client.secret}
      public_url: ${shop}
      secrets: ["a secret of the cookies, long enough"]
`,
    { "protos/echo.proto": echoProto },
  );
  const tls: ConnectionOptions = { ca: authority.ca.cert, servername: "shop.test" };
  let session: ClientHttp2Session | undefined;
  after(async () => {
    session?.close();
    await close();
    await backend.close();
    await issuer.close();
  });

  const overHttp1: Reach = async (url, asked) => {
    const options = {
      port: gateway.httpPort,
      host: "127.0.0.1",
      path: url.pathname + url.search,
      agent: false,
    };
    const headers = [["host", "shop.test"], ...fieldsOf(asked)].flat();
    const sent = request({ ...options, ...tls, method: asked.method ?? "GET", headers });
    sent.end(asked.body);
    const [response] = await once(sent, "response");
    const found = new Headers();
    for (const [name, values = []] of Object.entries<string[]>(response.headersDistinct))
      for (const value of values) found.append(name, value);
    return { status: response.statusCode, headers: found, text: await text(response) };
  };

  const overHttp2: Reach = async (url, asked) => {
    session ??= connectHttp2(shop, {
      createConnection: () =>
        connectTls({ ...tls, port: gateway.httpPort ?? 0, host: "127.0.0.1", ALPNProtocols: ["h2"] }),
    });
    const fields = fieldsOf(asked);
    const stream = session.request({
      ":method": asked.method ?? "GET",
      ":path": url.pathname + url.search,
      ...Object.fromEntries(fields.filter(([name]) => name !== "cookie")),
      cookie: fields.filter(([name]) => name === "cookie").map(([, value]) => value),
    });
    stream.end(asked.body);
    const [head] = await once(stream, "response");
    const found = new Headers();
    for (const [name, value] of Object.entries(head))
      if (!name.startsWith(":")) for (const each of [value].flat()) found.append(name, String(each));
    return { status: Number(head[":status"]), headers: found, text: await text(stream) };
  };

  const versions =
    engineUnderTest() === "uws" ? { "HTTP/1.1": overHttp1 } : { "HTTP/1.1": overHttp1, "HTTP/2": overHttp2 };
  for (const [version, reach] of Object.entries(versions))
    test(`a browser that sends each cookie in a field of its own over ${version} logs in, calls and logs out`, async () => {
      const browser = new TestBrowser({ [shop]: reach, [issuer.url]: reachAt(issuer.url) });
      const back = await browser.logIn(await browser.open(`${shop}/v1/items/a`), "jdoe");
      assert.deepEqual([back.url, back.status], [`${shop}/v1/items/a`, 200]);
      assert.equal(JSON.parse((await browser.send(`${shop}/v1/items/b`)).text).id, "b");
      const out = await browser.send(`${shop}/auth/logout`, { method: "POST", headers: { origin: shop } });
      assert.equal(out.status, 303);
      assert.equal((await browser.send(`${shop}/v1/items/b`)).status, 401);
    });
});
