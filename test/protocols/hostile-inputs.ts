import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { Flag, FrameType } from "../../src/h2/protocol.js";
import { preface } from "../server/http2/raw-client.js";
import { encodeTicks } from "../streams/ticks.js";
import { block, frame, settings, uint32 } from "../upstream/h2/raw-server.js";
import { enveloped } from "./client.js";

/** Conversations that are as they should be, by kind; hostile ones are made of them. */
interface Kind {
  readonly name: string;
  /** Whole conversations of a client: what it writes in one piece. */
  readonly valid: readonly Buffer[];
  /** Bytes that mean something here, to be put in anywhere. */
  readonly words: readonly (Buffer | string)[];
}

const tick = encodeTicks("Tick", { room: "a", seq: 7, text: "hello" });
const watch = encodeTicks("WatchRequest", { room: "a", count: 3 });
const { Headers, Data, WindowUpdate, RstStream, Ping, Continuation, GoAway, Priority } = FrameType;

type Fields = Readonly<Record<string, string>>;

function http1(target: string, fields: Fields, body: Uint8Array | string = "", method = "POST"): Buffer {
  const bytes = Buffer.from(body);
  const all = { host: "a", "content-length": String(bytes.length), ...fields };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1"),
    bytes,
  ]);
}

function chunked(target: string, fields: Fields, ...chunks: (Uint8Array | string)[]): Buffer {
  const head = `POST ${target} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n`;
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const parts = chunks.flatMap(chunk => {
    const bytes = Buffer.from(chunk);
    return [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`${head}${lines.join("")}\r\n`), ...parts, Buffer.from("0\r\n\r\n")]);
}

function http2(path: string, fields: Fields, ...messages: readonly Uint8Array[]): Buffer {
  const head = block(
    Object.entries({ ":method": "POST", ":scheme": "http", ":path": path, ":authority": "a", ...fields }),
  );
  return Buffer.concat([
    preface,
    settings(),
    frame(Headers, Flag.EndHeaders, 1, head),
    ...messages.map((bytes, at) => frame(Data, at === messages.length - 1 ? Flag.EndStream : 0, 1, bytes)),
  ]);
}

const grpc = (path: string, fields: Fields, ...messages: readonly Uint8Array[]): Buffer =>
  http2(path, { "content-type": "application/grpc", te: "trailers", ...fields }, ...messages);

/** A WebSocket frame of a client. */
function wsFrame(opcode: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head =
    bytes.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | bytes.length])
      : Buffer.from([0x80 | opcode, 0xfe, bytes.length >> 8, bytes.length & 255]);
  return Buffer.concat([head, mask, bytes.map((byte, at) => byte ^ (mask[at & 3] as number))]);
}

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg==",
};
const socket = (target: string, ...frames: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from(
      `GET ${target} HTTP/1.1\r\nhost: a\r\n${Object.entries(upgrade)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}\r\n`,
    ),
    ...frames,
  ]);

const form = (...parts: readonly string[]): string =>
  `${parts.map(part => `--b\r\ncontent-disposition: form-data; ${part}\r\n`).join("")}--b--\r\n`;
const multipart = { "content-type": "multipart/form-data; boundary=b" };
const json = { "content-type": "application/json" };
const stream = { "content-type": "application/connect+proto", "connect-protocol-version": "1" };
const find = JSON.stringify({ count: 2, tag: "x".repeat(100) });

const http2Kinds: readonly Kind[] = [
  {
    name: "frames of HTTP/2",
    valid: [
      http2("/v1/rooms/a:find", json, Buffer.from(find)),
      Buffer.concat([
        http2("/v1/rooms/a/ticks", { ":method": "GET" }, Buffer.alloc(0)),
        frame(WindowUpdate, 0, 0, uint32(1000)),
        frame(Ping, 0, 0, Buffer.alloc(8)),
        frame(Headers, Flag.EndStream, 3, block([[":method", "GET"]])),
        frame(
          Continuation,
          Flag.EndHeaders,
          3,
          block([
            [":scheme", "http"],
            [":path", "/v1/rooms/a/ticks?count=2"],
            [":authority", "a"],
          ]),
        ),
        frame(RstStream, 0, 3, uint32(8)),
        frame(Priority, 0, 5, Buffer.alloc(5)),
        frame(GoAway, 0, 0, Buffer.alloc(8)),
      ]),
    ],
    words: [
      settings([3, 0], [4, 0x7fff_ffff]),
      settings([4, 0]),
      frame(WindowUpdate, 0, 1, uint32(0x7fff_ffff)),
      frame(WindowUpdate, 0, 0, uint32(0)),
      frame(RstStream, 0, 1, uint32(8)),
      frame(Headers, Flag.EndHeaders | Flag.EndStream, 1, block([["x-trailer", "1"]])),
      frame(Data, Flag.EndStream, 1, Buffer.alloc(0)),
      frame(Data, 8, 1, Buffer.from([255, 1])),
      frame(Continuation, Flag.EndHeaders, 1, Buffer.alloc(0)),
      frame(FrameType.PushPromise, Flag.EndHeaders, 1, Buffer.alloc(4)),
      frame(GoAway, 0, 0, Buffer.alloc(8, 255)),
      frame(99, 255, 1, Buffer.alloc(10)),
    ],
  },
  {
    name: "gRPC",
    valid: [
      grpc("/test.v1.Ticks/Watch", {}, enveloped(0, watch)),
      grpc("/test.v1.Ticks/Send", {}, enveloped(0, tick), enveloped(0, tick)),
      grpc("/test.v1.Ticks/Talk", { "grpc-timeout": "1S" }, enveloped(0, tick), enveloped(0, tick)),
      grpc(
        "/test.v1.Ticks/Send",
        { "grpc-encoding": "gzip", "grpc-accept-encoding": "gzip" },
        enveloped(1, gzipSync(tick)),
      ),
    ],
    words: [
      enveloped(1, gzipSync(Buffer.alloc(100_000))),
      enveloped(2, tick),
      enveloped(0x80, Buffer.from("grpc-status: 0\r\n")),
      Buffer.from("00ffffffff", "hex"),
      Buffer.from("01ffffffff", "hex"),
      frame(Data, Flag.EndStream, 1, Buffer.from("0000", "hex")),
      frame(Headers, Flag.EndHeaders, 1, block([["grpc-timeout", "99999999999H"]])),
      frame(RstStream, 0, 1, uint32(0)),
    ],
  },
];

const http1Kinds: readonly Kind[] = [
  {
    name: "Connect",
    valid: [
      http1("/test.v1.Ticks/Watch", stream, enveloped(0, watch)),
      chunked("/test.v1.Ticks/Send", stream, enveloped(0, tick), enveloped(0, tick)),
      http1(
        "/test.v1.Ticks/Send",
        { ...stream, "connect-content-encoding": "gzip", "connect-timeout-ms": "500" },
        enveloped(1, gzipSync(tick)),
      ),
      http1(
        "/test.v1.Ticks/Watch",
        { ...stream, "content-type": "application/connect+json" },
        enveloped(0, Buffer.from('{"room":"a","count":2}')),
      ),
      http1("/test.v1.Ticks/Watch?connect=v1&encoding=json&base64=1&message=e30", {}, "", "GET"),
    ],
    words: [
      enveloped(2, Buffer.from("{}")),
      enveloped(3, Buffer.from("{}")),
      Buffer.from("00ffffffff", "hex"),
      "connect-timeout-ms: 99999999999\r\n",
      "connect-content-encoding: br, gzip\r\n",
      "&compression=gzip",
      "%zz",
      '{"room":',
    ],
  },
  {
    name: "gRPC-Web",
    valid: [
      http1("/test.v1.Ticks/Watch", { "content-type": "application/grpc-web+proto" }, enveloped(0, watch)),
      http1(
        "/test.v1.Ticks/Watch",
        { "content-type": "application/grpc-web-text" },
        enveloped(0, watch).toString("base64"),
      ),
      chunked(
        "/test.v1.Ticks/Watch",
        { "content-type": "application/grpc-web-text", "grpc-timeout": "500m" },
        enveloped(0, watch).toString("base64").slice(0, 7),
        enveloped(0, watch).toString("base64").slice(7),
      ),
    ],
    words: ["====", "*", "AAAAAAA", "grpc-timeout: -1S\r\n", enveloped(0x80, Buffer.from("x: y"))],
  },
  {
    name: "streams of REST",
    valid: [
      http1("/v1/rooms/a/ticks", { "content-type": "application/x-ndjson" }, '{"seq":1}\n{"seq":2}\n'),
      chunked("/v1/rooms/a/ticks", json, '[{"seq":1},', '{"seq":2,"text":"é"}]'),
      chunked("/v1/rooms/a:talk", { "content-type": "application/x-ndjson" }, '{"seq":1}\n', '{"seq":2}\n'),
      http1("/v1/rooms/a/ticks?count=3", { accept: "text/event-stream", "last-event-id": "5" }, "", "GET"),
      chunked("/v1/files", { "content-type": "image/png" }, "bytes", "more bytes"),
      http1("/v1/rooms/a:find", { ...json, accept: "application/x-ndjson" }, find),
    ],
    words: [
      "[",
      "]",
      "{",
      "\0",
      "\ufeff",
      ",,",
      '"\\ud800"',
      "[".repeat(200),
      '{"seq":1e999}',
      "\n\n\n",
      "\x1e",
    ],
  },
  {
    name: "WebSockets on bindings",
    valid: [
      socket("/v1/rooms/a/ticks?count=2"),
      socket(
        "/v1/rooms/a:talk",
        wsFrame(1, '{"seq":1}'),
        wsFrame(1, '{"seq":2}'),
        wsFrame(1, '{"end":true}'),
      ),
      socket(
        "/v1/rooms/a/sends",
        wsFrame(1, '{"seq":1}'),
        wsFrame(9, "ping"),
        wsFrame(8, Buffer.from([3, 232])),
      ),
    ],
    words: [
      wsFrame(0, "stray"),
      wsFrame(3, ""),
      wsFrame(2, "binary"),
      wsFrame(8, Buffer.from([0, 1])),
      wsFrame(9, "x".repeat(130)),
      wsFrame(1, Buffer.from([0xff, 0xfe])),
      wsFrame(1, '{"end":1}'),
      wsFrame(1, "[".repeat(120)),
      Buffer.from("81ff7fffffffffffffff00000000", "hex"),
      Buffer.from("c1800000000000", "hex"),
    ],
  },
  {
    name: "forms",
    valid: [
      http1("/v1/rooms/a:find", multipart, form('name="count"\r\n\r\n2', 'name="tag"\r\n\r\nx')),
      http1(
        "/v1/files",
        multipart,
        form('name="f"; filename="x.png"\r\ncontent-type: image/png\r\n\r\nbytes'),
      ),
      chunked(
        "/v1/files",
        multipart,
        '--b\r\ncontent-disposition: form-data; name="f"; filename="x"\r\n\r\nby',
        "tes\r\n--b--",
      ),
      http1(
        "/v1/rooms/a:find",
        { "content-type": "application/x-www-form-urlencoded" },
        "count=2&tag=a+b%20c",
      ),
    ],
    words: [
      "--b",
      "\r\n--b\r\n",
      "--b--",
      "\r\n\r\n",
      'content-disposition: form-data; name="count"\r\n\r\n',
      "content-transfer-encoding: base64\r\n",
      "name*=utf-8''x",
      `x: ${"y".repeat(9000)}\r\n`,
      "&count=3",
      "[a]=b",
      "%",
    ],
  },
  {
    name: "compressed bodies",
    valid: [
      http1("/v1/rooms/a:find", { ...json, "content-encoding": "gzip" }, gzipSync(find)),
      http1("/v1/rooms/a:find", { ...json, "content-encoding": "br" }, brotliCompressSync(find)),
      http1("/v1/rooms/a:find", { ...json, "content-encoding": "deflate" }, deflateSync(find)),
      chunked(
        "/v1/rooms/a/ticks",
        { "content-type": "application/x-ndjson", "content-encoding": "gzip" },
        gzipSync('{"seq":1}\n{"seq":2}\n').subarray(0, 15),
        gzipSync('{"seq":1}\n{"seq":2}\n').subarray(15),
      ),
      http1("/v1/rooms/a/ticks?count=200&size=100", { "accept-encoding": "br;q=0.5, gzip" }, "", "GET"),
    ],
    words: [
      gzipSync(Buffer.alloc(300_000)),
      gzipSync(gzipSync("x")),
      gzipSync(""),
      "content-encoding: gzip, gzip, gzip\r\n",
      "accept-encoding: gzip;q=2, *;q=0, ;;q=,\r\n",
      Buffer.alloc(64),
    ],
  },
];

export const hostileKinds: readonly Kind[] = [...http2Kinds, ...http1Kinds];

/** Numbers that are the same in each run. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** One of the valid conversations with one to three changes. */
export function hostile({ valid, words }: Kind, pick: (below: number) => number): Buffer {
  let bytes = valid[pick(valid.length)] as Buffer;
  for (let changes = 1 + pick(3); changes > 0; changes--) {
    // What comes last is where the protocols differ.
    const at = Math.max(pick(bytes.length + 1), pick(bytes.length + 1));
    const before = bytes.subarray(0, at);
    const end = Math.min(bytes.length, at + 1 + pick(20));
    switch (pick(6)) {
      case 0:
        bytes = before;
        break;
      case 1:
        bytes = Buffer.concat([before, bytes.subarray(end)]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([before, Buffer.of(pick(256)), bytes.subarray(at + 1)]);
        break;
      default:
        bytes = Buffer.concat([before, Buffer.from(words[pick(words.length)] as string), bytes.subarray(at)]);
    }
  }
  return bytes;
}
