import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWriter } from "../../../src/h2/bytes.js";
import { TrpcError } from "../../../src/upstream/trpc/frame.js";
import { checkHeader, RequestHeaders, writeRequest } from "../../../src/upstream/trpc/request-header.js";
import { ResponseHeader } from "../../../src/upstream/trpc/response-header.js";
import { eventsOf, maxTotal } from "./frame-recorder.js";
import { exchange, exchanges } from "./recorded-frames.js";

const path = "/seed.v1.Messages/GetMessage";
const names = { caller: "trpc.test.client.x", callee: "trpc.seed.demo.messages", oneWay: new Set<string>() };

function request(
  id: number,
  text: string,
  options: {
    readonly oneWay?: boolean;
    readonly timeout?: number | undefined;
    readonly metadata?: readonly (readonly [string, string | Uint8Array])[];
  } = {},
): Buffer {
  const heads = new RequestHeaders({ ...names, oneWay: new Set(options.oneWay === true ? [path] : []) });
  const out = new ByteWriter(16);
  const body = Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);
  const timeout = "timeout" in options ? options.timeout : 1000;
  writeRequest(
    out,
    id,
    { block: heads.block(path), timeout, metadata: options.metadata ?? [], compressed: false },
    body,
  );
  return Buffer.from(out.bytes.subarray(0, out.length));
}

test("requests of tRPC are written byte for byte as those that were sent to a tRPC-Go server", () => {
  assert.deepEqual(request(1, "123456"), exchange("a call").sent);
  assert.deepEqual(request(1, "123456", { timeout: undefined }), exchange("timeout 0 (none)").sent);
  assert.deepEqual(request(1, "123456", { oneWay: true }), exchange("one-way, call_type 1").sent);
  assert.deepEqual(
    request(1, "123456", {
      metadata: [
        ["app-a", "1"],
        ["trpc-b", "2"],
      ],
    }).length,
    // Names of the framework are not sent.
    exchange("trans_info").sent.length - 13,
  );
  assert.deepEqual(
    Buffer.concat([request(1, "123456"), request(2, "second")]),
    exchange("two calls in one write").sent,
  );
});

test("responses that came from a tRPC-Go server are read", () => {
  const read = (title: string) => eventsOf(Buffer.concat(exchange(title).received));
  const body = "body 0a0a4765744d6573736167651a080a06313233343536";
  const fine = 'ret 0 func_ret 0 "" type 0 encoding 0 attachment 0';
  assert.deepEqual(read("a call"), [`1: id 1 ${fine} {}`, body]);
  assert.deepEqual(read("frame version 0"), [`1: id 1 ${fine} {}`, body]);
  assert.deepEqual(read("id 7 in the header, 9 in the frame"), [`9: id 7 ${fine} {}`, body]);
  assert.deepEqual(read("trans_info"), [`1: id 1 ${fine} {app-a=1}`, body]);
  assert.deepEqual(read("business error"), [
    '1: id 1 ret 0 func_ret 10001 "business says no" type 0 encoding 0 attachment 0 {}',
    "body ",
  ]);
  assert.deepEqual(read("framework error 51"), [
    '1: id 1 ret 51 func_ret 0 "bad field" type 0 encoding 0 attachment 0 {}',
    "body ",
  ]);
  assert.deepEqual(read("header length 0"), [
    '1: id 0 ret 1 func_ret 0 "service codec Decode: server decode pb head len empty" type 0 encoding 0 attachment 0 {}',
    "body ",
  ]);
  assert.deepEqual(read("stream frame (INIT) to a unary method"), ["1: a frame of a stream"]);
  assert.deepEqual(
    read("two calls in one write").filter(event => !event.startsWith("body")),
    [`2: id 2 ${fine} {}`, `1: id 1 ${fine} {}`],
  );
  for (const { title } of exchanges) assert.ok(read(title).length >= 0, title);
});

test("recorded frames are read alike wherever the pieces in which they come are cut", () => {
  const all = Buffer.concat(exchanges.flatMap(({ received }) => received));
  const whole = eventsOf(all);
  for (const sizes of [[1], [2], [15], [16], [17], [3, 50, 1], [100]])
    assert.deepEqual(eventsOf(all, sizes), whole);
});

test("every cut of one recorded response into two pieces gives the same events", () => {
  const [bytes = Buffer.alloc(0)] = exchange("no such method").received;
  const whole = eventsOf(bytes);
  for (let cut = 1; cut < bytes.length; cut++) assert.deepEqual(eventsOf(bytes, [cut, bytes.length]), whole);
});

test("a body of many pieces is joined, and the attachment behind it is passed over", () => {
  const body = Buffer.alloc(300_000, "b");
  const header = Buffer.from("180160808001", "hex");
  const head = Buffer.from("0930000000000000000600000001" + "0100", "hex");
  const attachment = Buffer.alloc(16_384, "x");
  const frame = Buffer.concat([head, header, body, attachment]);
  frame.writeUInt32BE(frame.length, 4);
  const two = Buffer.concat([frame, frame]);
  for (const sizes of [[two.length], [10_000], [65_536, 1], [frame.length - 5, 10]]) {
    const events = eventsOf(two, sizes);
    assert.equal(events.length, 4);
    for (const index of [1, 3])
      assert.ok(events[index] === `body ${body.toString("hex")}`, "the body is another");
  }
});

test("bytes that are no tRPC frame give a TrpcError", () => {
  const [good = Buffer.alloc(0)] = exchange("a call").received;
  const changed = (at: number, value: number) => {
    const frame = Buffer.from(good);
    frame.writeUInt32BE(value, at);
    return frame;
  };
  const wrongMagic = Buffer.from(good);
  wrongMagic[1] = 0x31;
  const wrongType = Buffer.from(good);
  wrongType[2] = 2;
  const bad: readonly (readonly [RegExp, Buffer])[] = [
    [/begins with 0x0931/, wrongMagic],
    [/frame type 2/, wrongType],
    [/a frame of 4 bytes/, changed(4, 4)],
    [/a frame of 15 bytes/, changed(4, 15)],
    [/at most 10485760/, changed(4, maxTotal + 1)],
    [/begins with 0x4854/, Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ];
  for (const [message, frame] of bad) {
    for (const size of [frame.length, 1])
      assert.throws(
        () => eventsOf(Buffer.concat([good, frame]), [size]),
        (error: unknown) => error instanceof TrpcError && message.test(error.message),
      );
  }
});

test("a header that is longer than its frame, none, or no message costs only its own frame", () => {
  const [good = Buffer.alloc(0)] = exchange("a call").received;
  const long = Buffer.from(good);
  long.writeUInt16BE(60_000, 8);
  const none = Buffer.from(good);
  none.writeUInt16BE(0, 8);
  const garbage = Buffer.from(good);
  garbage.fill(0xff, 16, 18);
  for (const size of [1, 1000]) {
    const events = eventsOf(Buffer.concat([long, none, garbage, good]), [size]);
    assert.deepEqual(events.slice(0, 3), [
      "1: a header that is longer than its frame",
      "1: a frame without header",
      "1: no message",
    ]);
    assert.deepEqual(events.slice(3), eventsOf(good));
  }
});

test("metadata of one name is joined for trans_info, and bytes are sent as they are", () => {
  const bytes = request(1, "x", {
    metadata: [
      ["list", "a"],
      ["list", "b"],
      ["token-bin", Uint8Array.of(1)],
      ["token-bin", Uint8Array.of(0xff, 0)],
    ],
  });
  const headerSize = bytes.readUInt16BE(8);
  const header = bytes.subarray(16, 16 + headerSize);
  // The maps of both directions are alike, but for the number of their field.
  const entries = header.subarray(header.indexOf("GetMessage") + "GetMessage".length);
  const moved = Buffer.from(entries);
  for (let at = 0; at < moved.length; at += 2 + moved[at + 1]!) moved[at] = 0x42;
  const head = new ResponseHeader();
  assert.ok(head.read(moved, 0, moved.length));
  assert.deepEqual(head.metadata([]), [
    ["list", "a,b"],
    ["token-bin", Uint8Array.of(0xff, 0)],
  ]);
  assert.ok(head.read(moved, 0, moved.length));
  assert.deepEqual(
    head.metadata([
      ["list", "a"],
      ["list", "b"],
      ["token-bin", Uint8Array.of(0xff, 1)],
    ]),
    [["token-bin", Uint8Array.of(0xff, 0)]],
    "what comes back as it was sent is not of the backend",
  );
});

test("entries of trans_info that cannot be metadata are left out, and names are made lower case", () => {
  const entry = (key: string | Buffer, value: string | Buffer): Buffer => {
    const part = (tag: number, text: string | Buffer) => {
      const bytes = Buffer.from(text as string, "utf8");
      return Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
    };
    const both = Buffer.concat([part(0x0a, key), part(0x12, value)]);
    return Buffer.concat([Buffer.from([0x42, both.length]), both]);
  };
  const header = Buffer.concat([
    entry("X-Total", "7"),
    entry("bad name", "1"),
    entry("", "1"),
    entry("text", "grüße"),
    entry("trpc-dyeing-key", "1"),
    entry("line", "a\r\nb"),
    Buffer.from([0x42, 2, 0x0a, 9]),
  ]);
  const head = new ResponseHeader();
  assert.ok(head.read(header, 0, header.length));
  assert.deepEqual(head.metadata([]), [["x-total", "7"]]);
});

test("metadata that is too long for a header of tRPC is an error before anything is sent", () => {
  const block = new RequestHeaders(names).block(path);
  assert.throws(() => checkHeader(block, [["a", "x".repeat(65_500)]]), /at most 65535 are allowed/);
  checkHeader(block, [["a", "x".repeat(65_000)]]);
  assert.throws(() => new RequestHeaders(names).block("no path"), /expected a path/);
});
