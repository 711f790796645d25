import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { type Duplex, Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createWebSocketStream, WebSocket } from "ws";
import { encodeTicks } from "../streams/ticks.js";

/** How a client calls. */
export type FloodWay = "NDJSON" | "HttpBody" | "WebSocket" | "Connect" | "gRPC-Web" | "gRPC";
export type Direction = "down" | "up";

/** Bytes of the text or the data of one message. */
const messageBytes = 64 * 1024;
/** A slow reader rests after so many bytes, for so many milliseconds. */
const restBytes = 4 << 20;
const restMs = 5;
/** A sender rests after so many bytes, for so many milliseconds. */
const burstBytes = 8 << 20;
const burstMs = 7;

const text = "x".repeat(messageBytes);
const tick = enveloped(encodeTicks("Tick", { room: "a", text }));
const raw = enveloped(
  encodeTicks("HttpBody", { content_type: "application/x-flood", data: Buffer.from(text) }),
);

export interface FloodBackend {
  readonly port: number;
  /** How much a response stream has, and how long a slow reader does nothing at first. */
  plan(bytes: number, stallMs: number): void;
  /** Bytes that the last client stream has brought, once it is over. */
  received(): Promise<number>;
  close(): void;
}

/** A gRPC server as fast as `node:http2`, which sends as much as it may and reads slowly. */
export async function startFlood(): Promise<FloodBackend> {
  let planned = 0;
  let stall = 0;
  let received = Promise.resolve(0);
  const server = createServer();
  server.on("stream", (stream, headers) => {
    const path = String(headers[":path"]);
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    if (path.endsWith("/Watch") || path.endsWith("/Download")) {
      stream.resume();
      const message = path.endsWith("/Watch") ? tick : raw;
      pipeline(Readable.from(repeated(message, planned / messageBytes)), stream).catch(() => undefined);
    } else {
      received = respondTo(stream, stall);
      // Whoever sends it hears of it, too.
      received.catch(() => undefined);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    plan: (bytes, stallMs) => {
      planned = bytes;
      stall = stallMs;
    },
    received: () => received,
    close: () => server.close(),
  };
}

async function respondTo(stream: ServerHttp2Stream, stallMs: number): Promise<number> {
  const bytes = await readSlowly(stream, stallMs);
  stream.end(enveloped(encodeTicks("Summary", { bytes })));
  return bytes;
}

/** Counts the bytes of a stream, with rests. */
async function readSlowly(stream: Readable, stallMs: number): Promise<number> {
  let bytes = 0;
  let rested = 0;
  for await (const chunk of stream) {
    if (bytes === 0) await sleep(stallMs);
    bytes += chunk.length;
    if (bytes - rested < restBytes) continue;
    rested = bytes;
    await sleep(restMs);
  }
  return bytes;
}

/**
 * Streams so many bytes through a gateway, to a client or a backend that reads slowly.
 * @returns bytes that have arrived, framing included
 */
export async function flood(
  backend: FloodBackend,
  port: number,
  way: FloodWay,
  direction: Direction,
  bytes: number,
  stallMs: number,
): Promise<number> {
  backend.plan(bytes, stallMs);
  if (direction === "down") {
    const { stream, close } = await openDown(port, way);
    const arrived = await readSlowly(stream, stallMs);
    close();
    return arrived;
  }
  const { stream, message, over, close } = await openUp(port, way);
  await pipeline(Readable.from(repeated(message, bytes / messageBytes)), stream, {
    end: way !== "WebSocket",
  });
  if (way === "WebSocket") stream.write('{"end":true}');
  await over;
  close();
  return backend.received();
}

/** No faster than 10 Gbit/s: nothing that comes over a network does. */
async function* repeated<T extends { readonly length: number }>(part: T, count: number): AsyncGenerator<T> {
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    yield part;
    bytes += part.length;
    if (bytes < burstBytes) continue;
    bytes = 0;
    await sleep(burstMs);
  }
}

async function openDown(port: number, way: FloodWay): Promise<{ stream: Readable; close(): void }> {
  const authority = `127.0.0.1:${port}`;
  if (way === "gRPC") {
    const session = connect(`http://${authority}`);
    const stream = session.request(grpcHead("Watch"));
    stream.end(enveloped(encodeTicks("WatchRequest", { room: "a" })));
    return { stream, close: () => session.close() };
  }
  if (way === "WebSocket") {
    const socket = new WebSocket(`ws://${authority}/v1/rooms/a/ticks`, { perMessageDeflate: false });
    return { stream: createWebSocketStream(socket), close: () => socket.terminate() };
  }
  const type = rpcTypes.get(way);
  const request =
    type === undefined
      ? httpRequest(`http://${authority}${way === "HttpBody" ? "/v1/files/a" : "/v1/rooms/a/ticks"}`, {
          headers: { accept: "application/x-ndjson, */*" },
        })
      : httpRequest(`http://${authority}/test.v1.Ticks/Watch`, {
          method: "POST",
          headers: { "content-type": type },
        });
  request.end(type === undefined ? undefined : enveloped(encodeTicks("WatchRequest", { room: "a" })));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  return { stream: response, close: () => request.destroy() };
}

interface Upload {
  readonly stream: Writable;
  readonly message: Buffer | string;
  /** Resolves with the response. */
  readonly over: Promise<unknown>;
  close(): void;
}

async function openUp(port: number, way: FloodWay): Promise<Upload> {
  const authority = `127.0.0.1:${port}`;
  const json = JSON.stringify({ text });
  if (way === "gRPC") {
    const session = connect(`http://${authority}`);
    const stream = session.request(grpcHead("Send"));
    stream.resume();
    return { stream, message: tick, over: once(stream, "end"), close: () => session.close() };
  }
  if (way === "WebSocket") {
    const socket = new WebSocket(`ws://${authority}/v1/rooms/a:send`, { perMessageDeflate: false });
    const over = once(socket, "close").then(([code, reason]) => {
      if (code !== 1000) throw new Error(`close code ${code} ${reason}`);
    });
    over.catch(() => undefined);
    const stream: Duplex = createWebSocketStream(socket, { decodeStrings: false });
    stream.resume();
    return { stream, message: json, over, close: () => socket.terminate() };
  }
  const { path, type, message } = uploads(way, json);
  const request = httpRequest(`http://${authority}${path}`, {
    method: "POST",
    headers: { "content-type": type },
  });
  const over = once(request, "response").then(async ([response]: IncomingMessage[]) => {
    let body = "";
    for await (const chunk of response as IncomingMessage) body += chunk;
    if (response?.statusCode !== 200) throw new Error(`status ${response?.statusCode}: ${body}`);
  });
  over.catch(() => undefined);
  return { stream: request, message, over, close: () => request.destroy() };
}

const rpcTypes: ReadonlyMap<FloodWay, string> = new Map([
  ["Connect", "application/connect+proto"],
  ["gRPC-Web", "application/grpc-web+proto"],
]);

function uploads(way: FloodWay, json: string): { path: string; type: string; message: Buffer | string } {
  const type = rpcTypes.get(way);
  if (type !== undefined) return { path: "/test.v1.Ticks/Send", type, message: tick };
  if (way === "HttpBody")
    return { path: "/v1/files", type: "application/octet-stream", message: Buffer.from(text) };
  return { path: "/v1/rooms/a/ticks", type: "application/x-ndjson", message: `${json}\n` };
}

function grpcHead(method: string): Record<string, string> {
  return {
    ":method": "POST",
    ":path": `/test.v1.Ticks/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  };
}

function enveloped(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
