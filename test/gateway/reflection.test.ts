import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { send, startTestGateway, type TestGateway } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

/**
 * A server on `port` that reflects one service with one method, which echoes.
 * Its loader drops custom options, so the routes come from the naming convention here; test/peers has annotations.
 */
async function startReflecting(
  service: string,
  method: string,
  port = 0,
): Promise<{ port: number; close(): Promise<void> }> {
  const file = join(folder, `${service}${method}/s.proto`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    `syntax = "proto3";
package r;
message M { string id = 1; int64 big = 2; }
service ${service} { rpc ${method}(M) returns (M); }
`,
  );
  const definition = loadSync(file, { keepCase: true, longs: String });
  const server = new Server();
  server.addService(definition[`r.${service}`] as ServiceDefinition, {
    [method]: (call: { request: object }, reply: (error: null, message: object) => void) =>
      reply(null, call.request),
  });
  new ReflectionService(definition).addToServer(server);
  const bound = await new Promise<number>((done, fail) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? done(at) : fail(error),
    );
  });
  return { port: bound, close: async () => server.forceShutdown() };
}

const yaml = (port: number, refresh: string): string => `
descriptors: [{ reflection: a${refresh} }]
upstreams: { a: { targets: ["127.0.0.1:${port}"] } }
services: [{ service: r.S, upstream: a, bindings: [convention] }]
`;

describe("reflection as descriptor source", () => {
  it("gives the same routes as the proto", async () => {
    const backend = await startReflecting("S", "GetA");
    const gateway = await startTestGateway(yaml(backend.port, ""), {});
    const answer = await send(`${gateway.url}/r.S/GetA?id=a&big=9007199254740993`);
    assert.deepEqual(answer.json, { id: "a", big: "9007199254740993" });
    await gateway.close();
    await backend.close();
  });

  it("is waited for while the upstream is down, and says so in the log", async () => {
    const first = await startReflecting("S", "GetA");
    await first.close();
    let tried: () => void = () => undefined;
    const whenTried = new Promise<void>(done => {
      tried = done;
    });
    const starting = startTestGateway(yaml(first.port, ""), {}, line => {
      if (String(line.msg).includes("reflection of upstream")) tried();
    });
    await whenTried;
    const backend = await startReflecting("S", "GetA", first.port);
    const gateway = await starting;
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    await gateway.close();
    await backend.close();
  });

  it("that does not come holds up neither the gateway nor the next reload", async () => {
    const backend = await startReflecting("S", "GetA");
    const gateway = await startTestGateway(yaml(backend.port, ""), {});
    gateway.write("gateway.yaml", yaml(1, ""));
    const stuck = gateway.reload();
    await gateway.logged(({ msg }) => String(msg).includes("trying again"));
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    gateway.write("gateway.yaml", yaml(backend.port, "").replace("convention", "auto"));
    await Promise.all([stuck, gateway.reload()]);
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 405);
    await gateway.close();
    await backend.close();
  });

  it("that changes changes the routes; one that cannot be used leaves them", async () => {
    const first = await startReflecting("S", "GetA");
    const gateway: TestGateway = await startTestGateway(yaml(first.port, ", refresh: 1s"), {});
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    await first.close();

    const second = await startReflecting("S", "GetB", first.port);
    await until(async () => (await send(`${gateway.url}/r.S/GetB`)).status === 200);
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 404);
    await second.close();

    const third = await startReflecting("T", "GetC", first.port);
    const line = await gateway.logged(({ msg }) => String(msg).includes("cannot be used"));
    assert.match(String(line.error), /the descriptors have no service "r\.S"/);
    await third.close();
    await gateway.close();
  });
});

/** Asks again until the condition holds; the runner's own time limit ends it otherwise. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(done => setImmediate(done));
}
