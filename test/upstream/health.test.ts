import assert from "node:assert/strict";
import { test } from "node:test";
import { HealthImplementation } from "grpc-health-check";
import { Code } from "../../src/status/code.js";
import type { Channel } from "../../src/upstream/channel.js";
import { openChannel, startBackend, unaryCall, until } from "./backend.js";

function healthy(service: string) {
  const health = new HealthImplementation({ [service]: "SERVING" });
  return { health, extend: health.addToServer.bind(health) };
}

function states(channel: Channel): string {
  return channel
    .state()
    .map(({ state }) => state)
    .join();
}

test("an endpoint that stops serving takes no calls until it serves again", async () => {
  const first = healthy("chat");
  const second = healthy("chat");
  const backends = await Promise.all([
    startBackend({ extend: first.extend }),
    startBackend({ extend: second.extend }),
  ]);
  const channel = openChannel(
    backends.map(({ address }) => address),
    { health: { service: "chat" } },
  );
  await until(() => states(channel) === "ready,ready");

  first.health.setStatus("chat", "NOT_SERVING");
  await until(() => states(channel) === "unhealthy,ready");
  for (let call = 0; call < 6; call++) await channel.unary(unaryCall());
  assert.deepEqual(
    backends.map(({ calls }) => calls),
    [0, 6],
  );

  first.health.setStatus("chat", "SERVING");
  await until(() => states(channel) === "ready,ready");
  for (let call = 0; call < 6; call++) await channel.unary(unaryCall());
  assert.deepEqual(
    backends.map(({ calls }) => calls),
    [3, 9],
  );
  await channel.close();
  for (const { stop } of backends) stop();
});

test("calls fail at once where every endpoint reports that it is not serving", async () => {
  const { health, extend } = healthy("");
  const backend = await startBackend({ extend });
  health.setStatus("", "NOT_SERVING");
  const channel = openChannel([backend.address], { health: { service: "" } });
  await until(() => states(channel) === "unhealthy");
  const { status } = await channel.unary(unaryCall());
  assert.deepEqual(status, {
    code: Code.UNAVAILABLE,
    message: "every endpoint reports that it is not serving",
    origin: "connect",
  });
  assert.equal(backend.calls, 0);
  await channel.close();
  backend.stop();
});

test("health: a service that the endpoint does not know counts as not serving", async () => {
  const { extend } = healthy("chat");
  const backend = await startBackend({ extend });
  const channel = openChannel([backend.address], { health: { service: "other" } });
  await until(() => states(channel) === "unhealthy");
  await channel.close();
  backend.stop();
});

test("an endpoint without the health protocol counts as healthy", async () => {
  const backend = await startBackend();
  const channel = openChannel([backend.address], { health: { service: "" } });
  await until(() => states(channel) === "ready");
  assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  assert.equal(states(channel), "ready");
  await channel.close();
  backend.stop();
});

test("an endpoint whose server stops is failing, not unhealthy", async () => {
  const { health, extend } = healthy("");
  const backend = await startBackend({ extend });
  const channel = openChannel([backend.address], { health: { service: "" } });
  await until(() => states(channel) === "ready");
  health.setStatus("", "NOT_SERVING");
  await until(() => states(channel) === "unhealthy");
  backend.stop();
  await until(() => states(channel) !== "unhealthy");
  assert.equal((await channel.unary(unaryCall())).status.origin, "connect");
  assert.equal(states(channel), "failing");
  await channel.close();
});

test("health checks are not counted as calls", async () => {
  const { extend } = healthy("");
  const backend = await startBackend({ extend });
  const channel = openChannel([backend.address], { health: { service: "" } });
  await until(() => states(channel) === "ready");
  assert.equal(channel.state()[0]?.pending, 0);
  await channel.close();
  backend.stop();
});
