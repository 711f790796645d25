import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { loadModel } from "../../src/descriptors/load/load.js";
import { Authority, type Pair, withoutOpenssl } from "../auth/certificates.js";
import { uwsSkipped } from "../engine.js";
import { echoProto } from "../gateway/echo.js";
import { echo, startBackend } from "../gateway/harness.js";
import { get, type Served, serve } from "./served.js";

const skipUws = withoutOpenssl || (await uwsSkipped());

for (const engine of ["fastify", "uws"] as const) {
  describe(`files that two workers on the engine ${engine} have accepted`, {
    skip: engine === "uws" ? skipUws : withoutOpenssl,
  }, () => {
    const folder = mkdtempSync(join(tmpdir(), "protogate-accepted-"));
    const authority = new Authority("test");
    const old = authority.issue("old", "/CN=old", "DNS.1 = both.test");
    const renewed = authority.issue("renewed", "/CN=renewed", "DNS.1 = both.test");
    const { cert: ca } = authority.ca;
    let backend: Awaited<ReturnType<typeof startBackend>>;
    let served: Served;
    let port: number;
    let admin: string;

    const put = ({ certFile, keyFile }: Pair): void => {
      copyFileSync(certFile, join(folder, "tls.crt"));
      copyFileSync(keyFile, join(folder, "tls.key"));
    };
    const putSet = async (): Promise<void> => {
      const protos = join(folder, "echo.proto");
      writeFileSync(protos, echoProto);
      const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
      writeFileSync(join(folder, "api.binpb"), model.descriptorSet());
    };
    /** On a connection of its own: status, name of the certificate, and worker. */
    const call = async (): Promise<{ status: number; name: string; worker: unknown }> => {
      const outgoing = request({ port, path: "/v1/items/a", agent: false, ca, servername: "both.test" });
      outgoing.end();
      const [response] = await once(outgoing, "response");
      const name = String((response.socket as TLSSocket).getPeerCertificate().subject.CN);
      response.resume();
      await once(response, "end");
      const id = response.headers["x-request-id"];
      const { worker } = await served.logged(line => line.request_id === id);
      return { status: response.statusCode, name, worker };
    };
    /** What all that both workers serve is like. */
    const seen = async (): Promise<string[]> => {
      const found = new Set<string>();
      const workers = new Set<unknown>();
      for (let sent = 0; workers.size < 2 || sent < 10; sent++) {
        assert.ok(sent < 1000, "one worker serves all");
        const { status, name, worker } = await call();
        workers.add(worker);
        found.add(`${status} by ${name}`);
      }
      return [...found];
    };
    const replaceBoth = async (): Promise<void> => {
      for (const worker of [1, 2]) {
        const { workers } = JSON.parse((await get(`${admin}/config`)).text);
        const { pid } = workers.find((each: { worker: number }) => each.worker === worker);
        const known = served.log.length;
        process.kill(pid, "SIGKILL");
        await served.logged(
          line =>
            /^another worker serves/.test(String(line.msg)) &&
            line.worker === worker &&
            served.log.indexOf(line) >= known,
        );
      }
    };

    before(async () => {
      put(old);
      await putSet();
      backend = await startBackend({ "/test.v1.Echo/Get": echo });
      served = serve(
        `
listeners:
  http: { address: 127.0.0.1:0, engine: ${engine}, tls: { cert: ${folder}/tls.crt, key: ${folder}/tls.key } }
  admin: { address: 127.0.0.1:0 }
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
server: { workers: 2, drain: 1s }`,
        echoProto,
        { descriptors: `[{ set: ${folder}/api.binpb }]` },
      );
      const ready = await served.logged(({ msg }) => msg === "ready");
      port = Number(ready.http);
      admin = `http://127.0.0.1:${ready.admin}`;
    });
    after(async () => {
      await served.close();
      await backend.close();
      rmSync(folder, { recursive: true });
    });

    it("serve in workers that replace others, certificate, key and descriptor set, whatever they have become, until a reload accepts new ones", async () => {
      assert.deepEqual(await seen(), ["200 by old"]);
      // A key that is not that of its certificate, and no set.
      copyFileSync(renewed.certFile, join(folder, "tls.crt"));
      writeFileSync(join(folder, "api.binpb"), "not a set");
      await replaceBoth();
      assert.deepEqual(await seen(), ["200 by old"]);
      const refused = await get(`${admin}/reload`, "POST");
      assert.equal(refused.status, 422);
      await replaceBoth();
      assert.deepEqual(await seen(), ["200 by old"]);
      put(renewed);
      await putSet();
      const accepted = await get(`${admin}/reload`, "POST");
      assert.equal(accepted.status, 200, accepted.text);
      assert.deepEqual(await seen(), ["200 by renewed"]);
      put(old);
      rmSync(join(folder, "api.binpb"));
      await replaceBoth();
      assert.deepEqual(await seen(), ["200 by renewed"]);
    });
  });
}
