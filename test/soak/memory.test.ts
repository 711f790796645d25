import assert from "node:assert/strict";
import { test } from "node:test";
import { uwsSkipped } from "../engine.js";
import { runMemory } from "./memory.js";

const bytes = 16 << 20;

// Memory is judged by `npm run soak` alone: so few bytes cannot show whether it stays bounded.
for (const engine of ["fastify", "uws"] as const) {
  test(`16 MiB pass in every way and direction to a slow reader on ${engine}`, {
    skip: engine === "uws" && (await uwsSkipped()),
  }, async () => {
    for await (const { name, arrived } of runMemory(engine, { bytes, warmUp: 0, stallMs: 0 }))
      assert.ok(arrived >= bytes, `${name}: ${arrived} bytes arrived`);
  });
}
