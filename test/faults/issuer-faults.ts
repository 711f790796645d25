import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { signer } from "../auth/tokens.js";
import { freePort } from "../ports.js";
import type { Fault } from "./fault.js";
import { echoConfig, named, withBackends, withGateway } from "./system.js";

/** An issuer, or a service that decides, until it is taken down. */
async function startIssuer(body: (url: string) => string): Promise<{ url: string; down(): Promise<void> }> {
  const server: Server = createServer((incoming, response) => {
    incoming.resume();
    response.setHeader("x-user-id", "ada").end(body(incoming.url ?? ""));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    down: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function withToken(port: number, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        port,
        host: "127.0.0.1",
        path: "/v1/items/1",
        agent: false,
        headers: { authorization: `Bearer ${token}` },
      },
      response => {
        let text = "";
        response.setEncoding("utf8").on("data", chunk => {
          text += chunk;
        });
        response.on("end", () => resolve(named({ status: response.statusCode ?? 0, headers: {}, text })));
      },
    );
    outgoing.on("error", reject).end();
  });
}

const guarded = (port: number, provider: string): string =>
  `${echoConfig([port])}auth: { default: [one], providers: { one: ${provider} } }\n`;

export const issuerFaults: readonly Fault[] = [
  {
    name: "the key set of an issuer cannot be fetched",
    run: () =>
      withBackends(1, async ([backend]) => {
        const [known, fresh] = [await signer("k1"), await signer("k2")];
        const issuer = await startIssuer(() => JSON.stringify({ keys: [known.jwk] }));
        try {
          const provider = `{ type: jwt, jwks: ${issuer.url}/keys, cooldown: 1s }`;
          return await withGateway(guarded(backend!.port, provider), async ({ port }) => {
            const first = await known.sign();
            assert.equal(await withToken(port, first), "200");
            await issuer.down();
            const old = await withToken(port, await known.sign({ jti: "another" }));
            const token = await fresh.sign();
            let unknown = await withToken(port, token);
            // The set has just been fetched: it is asked for again after \`cooldown\`.
            while (unknown === "401 CREDENTIALS_INVALID") unknown = await withToken(port, token);
            assert.deepEqual([old, unknown], ["200", "503 AUTH_UNAVAILABLE"]);
            return `tokens of known keys: ${old}; of an unknown key: ${unknown}`;
          });
        } finally {
          await issuer.down();
        }
      }),
  },
  {
    name: "an issuer that is asked about tokens is down",
    run: () =>
      withBackends(1, async ([backend]) => {
        const issuer = await startIssuer(() => '{"active":true,"sub":"ada"}');
        const provider = `{ type: introspection, url: ${issuer.url}/ask, client_id: a, client_secret: b, cache: 1m }`;
        try {
          return await withGateway(guarded(backend!.port, provider), async ({ port }) => {
            assert.equal(await withToken(port, "one"), "200");
            await issuer.down();
            const [known, other] = [await withToken(port, "one"), await withToken(port, "two")];
            assert.deepEqual([known, other], ["200", "503 AUTH_UNAVAILABLE"]);
            return `tokens that are remembered: ${known}; others: ${other}`;
          });
        } finally {
          await issuer.down();
        }
      }),
  },
  {
    name: "a service that decides about requests is down",
    run: () =>
      withBackends(1, async ([backend]) => {
        const nobody = await freePort();
        const seen: string[] = [];
        for (const provider of [
          `{ type: forward_auth, url: http://127.0.0.1:${nobody}/ }`,
          "{ type: ext_authz, upstream: nobody, timeout: 500ms }",
        ]) {
          const config = guarded(backend!.port, provider).replace(
            "upstreams: {",
            `upstreams: { nobody: { targets: ["127.0.0.1:${nobody}"] },`,
          );
          const found = await withGateway(config, ({ port }) => withToken(port, "one"));
          assert.equal(found, "503 AUTH_UNAVAILABLE");
          seen.push(found);
        }
        return `forward_auth: ${seen[0]}, ext_authz: ${seen[1]}`;
      }),
  },
];
