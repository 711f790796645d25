import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import type { Context, Finding } from "../group.js";
import { grownMemory } from "../metric.js";
import { forgetPeak, peakRss, residentMemory } from "../process/usage.js";
import { fastest, fastify } from "../rest/subjects.js";
import { compare } from "../row.js";
import { gatewayName, type Server, startGateway } from "../stage/servers.js";
import type { Stage } from "../stage/stage.js";

/** Bytes of the text of a message. */
const size = 65_536;
const megabyte = 1024 ** 2;
/** Most that the gateway may grow by. */
const most = 64 * megabyte;

/** Moves so many messages through a gateway. @returns false where it ended the stream, as `uws` may end fast uploads */
type Move = (server: Server, count: number) => Promise<boolean>;

/** What a gateway grows by while a large stream goes through it to or from somebody who is slower than its source. */
export async function* measureGrowth({ quick, note }: Context, { site }: Stage): AsyncIterable<Finding> {
  const total = quick ? 128 * megabyte : 1024 * megabyte;
  const moves: Readonly<Record<string, Move>> = {
    "NDJSON to a slow reader": download,
    ...(site.peers.kind === "built" && { "NDJSON to a slow backend": upload }),
  };
  if (site.peers.kind === "absent") note(`streams to a slow backend are skipped: ${site.peers.reason}`);
  for (const [name, move] of Object.entries(moves)) {
    const workload = `${total / megabyte} MiB of ${name}`;
    const grown: number[] = [];
    const ended: boolean[] = [];
    const [uws, portable] = [fastest, fastify];
    for (const parts of [uws, portable]) {
      const server = await startGateway(site, parts);
      // What the first messages cost is the program's.
      await move(server, 512);
      const before = residentMemory(server.child.pid);
      forgetPeak(server.child.pid);
      ended.push(!(await move(server, total / size)));
      grown.push(peakRss(server.child.pid) - before);
      await server.child.stop();
    }
    const [own, other] = grown.map(bytes => Math.max(bytes, 1));
    const names = { subject: gatewayName(uws), baseline: gatewayName(portable) };
    const row = compare({ group: "streams", workload, ...names }, grownMemory, [own], [other]);
    const remarks = grown.map((bytes, index) => {
      const verdict = bytes < most ? "below" : "ABOVE";
      return `${gatewayName(index === 0 ? uws : portable)} grew by ${(bytes / megabyte).toFixed(1)} MiB${ended[index] ? ", and ended the stream" : ""}: ${verdict} the bound of ${most / megabyte} MiB`;
    });
    yield { workload, rows: row === undefined ? [] : [row], remarks };
  }
}

/** Reads nothing for a second, then a few mebibytes at a time. */
async function download({ port }: Server, count: number): Promise<boolean> {
  const path = `/v1/ticks?count=${count}&size=${size}`;
  const request = http.get({ host: "127.0.0.1", port, path, headers: { accept: "application/x-ndjson" } });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  if (response.statusCode !== 200)
    throw new Error(`a stream is answered by ${response.statusCode}: ${await text(response)}`);
  await pause(1000);
  let bytes = 0;
  let burst = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    burst += chunk.length;
    if (burst < 4 * megabyte) continue;
    burst = 0;
    await pause(20);
  }
  if (bytes < count * size) throw new Error(`the stream ended after ${bytes} bytes`);
  return true;
}

/** Writes as fast as the gateway takes it; the backend rests before and between. */
async function upload({ port }: Server, count: number): Promise<boolean> {
  const headers = { "content-type": "application/x-ndjson" };
  const request = http.request({ host: "127.0.0.1", port, path: "/v1/ticks", method: "POST", headers });
  const over = new Promise<IncomingMessage | undefined>(resolve => {
    request.on("response", resolve);
    request.on("error", () => resolve(undefined));
  });
  let open = true;
  void over.then(() => {
    open = false;
  });
  const line = Buffer.from(`${JSON.stringify({ name: "slow", text: "x".repeat(size) })}\n`);
  for (let sent = 0; open && sent < count; sent += 1)
    if (!request.write(line)) await Promise.race([new Promise(done => request.once("drain", done)), over]);
  request.end();
  const response = await over;
  if (response === undefined || response.statusCode === 413) return false;
  const content = await text(response);
  if (response.statusCode !== 200 || (JSON.parse(content) as { count?: string }).count !== String(count))
    throw new Error(`a stream of ${count} messages is answered by ${response.statusCode}: ${content}`);
  return true;
}
