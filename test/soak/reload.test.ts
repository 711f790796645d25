import assert from "node:assert/strict";
import { test } from "node:test";
import { uwsSkipped } from "../engine.js";
import { runReload } from "./reload.js";

// Memory is judged by `npm run soak` alone: so few reloads cannot show whether anything is left of them.
for (const engine of ["fastify", "uws"] as const) {
  for (const workers of [1, 2]) {
    test(`5 reloads of ${workers === 1 ? "one process" : "two workers"} on ${engine} fail no request, stream or socket`, {
      skip: engine === "uws" && (await uwsSkipped()),
    }, async () => {
      const { tally } = await runReload({ engine, workers, reloads: 4, warmUp: 1, routes: 0 });
      assert.deepEqual([...tally.failures], []);
      for (const count of [tally.requests, tally.ticks, tally.deliveries]) assert.ok(count > 0);
    });
  }
}
