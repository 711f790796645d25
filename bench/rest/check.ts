import { deepEqual } from "node:assert/strict";
import type { Server } from "../stage/servers.js";
import { type Workload, workloads } from "./workloads.js";

/** Sees that a server answers every workload rightly, so that all are measured at the same work. @throws Error */
export async function checkAnswers(name: string, server: Server): Promise<void> {
  for (const workload of workloads) await checkAnswer(name, server, workload);
}

async function checkAnswer(name: string, { port }: Server, workload: Workload): Promise<void> {
  const { method, target, body, expected } = workload;
  const response = await fetch(`http://127.0.0.1:${port}${target}`, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (response.status !== 200)
    throw new Error(`${name} answers ${method} ${target} by ${response.status}: ${text.slice(0, 500)}`);
  deepEqual(JSON.parse(text), expected, `${name} answers ${method} ${target} wrongly`);
}
