import { deepEqual } from "node:assert/strict";
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import type { Server } from "../stage/servers.js";
import { type Workload, workloads } from "./workloads.js";

/** Sees that a server answers every workload rightly, so that all are measured at the same work. @throws Error */
export async function checkAnswers(name: string, server: Server, encrypted: boolean): Promise<void> {
  for (const workload of workloads) {
    const { method, target, body, expected } = workload;
    const { status, content } = await answerOf(server, encrypted, method, target, body);
    if (status !== 200)
      throw new Error(`${name} answers ${method} ${target} by ${status}: ${content.slice(0, 500)}`);
    deepEqual(JSON.parse(content), expected, `${name} answers ${method} ${target} wrongly`);
  }
}

/** The answer to one request. @param accept what kinds of content may come; absent: JSON */
export async function answerOf(
  { port }: Server,
  encrypted: boolean,
  method: Workload["method"],
  path: string,
  body?: object,
  accept = "application/json",
): Promise<{ readonly status: number | undefined; readonly content: string }> {
  const headers = { accept, ...(body !== undefined && { "content-type": "application/json" }) };
  const options = { host: "127.0.0.1", port, method, path, headers, signal: AbortSignal.timeout(10_000) };
  const request = encrypted
    ? https.request({ ...options, rejectUnauthorized: false })
    : http.request(options);
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode, content: await text(response) };
}
