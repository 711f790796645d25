import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, Flag, FrameType } from "../../../src/h2/protocol.js";
import { Code } from "../../../src/status/code.js";
import type { CallStatus } from "../../../src/upstream/channel.js";
import { hex } from "../../h2/bytes.js";
import { openChannel, unaryCall } from "../backend.js";
import {
  block,
  frame,
  initialBlock,
  initialHeaders,
  message,
  okBlock,
  okTrailers,
  type RawPeer,
  response,
  settings,
  startRawServer,
  trailersOnlyOk,
  uint32,
} from "./raw-server.js";

const {
  Data,
  Headers,
  Priority,
  RstStream,
  Settings,
  PushPromise,
  Ping,
  GoAway,
  WindowUpdate,
  Continuation,
} = FrameType;
const end = Flag.EndHeaders | Flag.EndStream;
const bytes = (count: number) => Buffer.alloc(count);
const data = frame(Data, 0, 1, message(Buffer.from("x")));

interface Offence {
  readonly name: string;
  /** What the server says when stream 1 is opened. */
  readonly says: readonly Buffer[];
}

interface ConnectionOffence extends Offence {
  /** What GOAWAY must carry. */
  readonly code: number;
}

const onConnection: readonly ConnectionOffence[] = [
  { name: "DATA on stream 0", says: [frame(Data, 0, 0, bytes(1))], code: ErrorCode.ProtocolError },
  {
    name: "DATA on a stream never opened",
    says: [frame(Data, 0, 9, bytes(1))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "DATA on a stream of the server",
    says: [frame(Data, 0, 2, bytes(1))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "DATA without the length of its padding",
    says: [frame(Data, Flag.Padded, 1)],
    code: ErrorCode.FrameSizeError,
  },
  {
    name: "DATA with more padding than bytes",
    says: [frame(Data, Flag.Padded, 1, hex("0500"))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "a frame of more than 16,384 bytes",
    says: [frame(Data, 0, 1, bytes(16_385))],
    code: ErrorCode.FrameSizeError,
  },
  { name: "HEADERS on stream 0", says: [frame(Headers, end, 0, okBlock)], code: ErrorCode.ProtocolError },
  {
    name: "HEADERS on a stream never opened",
    says: [frame(Headers, end, 3, okBlock)],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "HEADERS on a stream of the server",
    says: [frame(Headers, end, 2, okBlock)],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "HEADERS with more padding than bytes",
    says: [frame(Headers, end | Flag.Padded, 1, hex("0988"))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "HEADERS without the length of its padding",
    says: [frame(Headers, end | Flag.Padded, 1)],
    code: ErrorCode.FrameSizeError,
  },
  {
    name: "HEADERS too short for its priority",
    says: [frame(Headers, end | Flag.Priority, 1, bytes(4))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "a header block that is none",
    says: [frame(Headers, end, 1, hex("ffffffffffff"))],
    code: ErrorCode.CompressionError,
  },
  {
    name: "a header block with an unknown index",
    says: [frame(Headers, end, 1, hex("ff00"))],
    code: ErrorCode.CompressionError,
  },
  {
    name: "a frame between HEADERS and CONTINUATION",
    says: [frame(Headers, 0, 1, initialBlock), frame(Ping, 0, 0, bytes(8))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "CONTINUATION of another stream",
    says: [frame(Headers, 0, 1, initialBlock), frame(Continuation, Flag.EndHeaders, 3)],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "CONTINUATION without HEADERS",
    says: [frame(Continuation, Flag.EndHeaders, 1, okBlock)],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "CONTINUATION after a whole header block",
    says: [initialHeaders(1), frame(Continuation, Flag.EndHeaders, 1, okBlock)],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "CONTINUATION without an end",
    says: [
      frame(Headers, 0, 1, initialBlock),
      ...Array.from({ length: 5 }, () => frame(Continuation, 0, 1, bytes(16_384))),
    ],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of empty CONTINUATION",
    says: [
      frame(Headers, 0, 1, initialBlock),
      ...Array.from({ length: 20_000 }, () => frame(Continuation, 0, 1)),
    ],
    code: ErrorCode.EnhanceYourCalm,
  },
  { name: "PRIORITY on stream 0", says: [frame(Priority, 0, 0, bytes(5))], code: ErrorCode.ProtocolError },
  { name: "PRIORITY of 4 bytes", says: [frame(Priority, 0, 1, bytes(4))], code: ErrorCode.FrameSizeError },
  {
    name: "RST_STREAM on stream 0",
    says: [frame(RstStream, 0, 0, uint32(0))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "RST_STREAM on a stream never opened",
    says: [frame(RstStream, 0, 7, uint32(0))],
    code: ErrorCode.ProtocolError,
  },
  { name: "RST_STREAM of 3 bytes", says: [frame(RstStream, 0, 1, bytes(3))], code: ErrorCode.FrameSizeError },
  { name: "SETTINGS on a stream", says: [frame(Settings, 0, 1)], code: ErrorCode.ProtocolError },
  { name: "SETTINGS of 5 bytes", says: [frame(Settings, 0, 0, bytes(5))], code: ErrorCode.FrameSizeError },
  {
    name: "SETTINGS ack with a payload",
    says: [frame(Settings, Flag.Ack, 0, bytes(6))],
    code: ErrorCode.FrameSizeError,
  },
  { name: "SETTINGS_ENABLE_PUSH of 1", says: [settings([2, 1])], code: ErrorCode.ProtocolError },
  { name: "SETTINGS_ENABLE_PUSH of 2", says: [settings([2, 2])], code: ErrorCode.ProtocolError },
  {
    name: "SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
    says: [settings([4, 2 ** 31])],
    code: ErrorCode.FlowControlError,
  },
  { name: "SETTINGS_MAX_FRAME_SIZE of 16,383", says: [settings([5, 16_383])], code: ErrorCode.ProtocolError },
  { name: "SETTINGS_MAX_FRAME_SIZE of 2^24", says: [settings([5, 2 ** 24])], code: ErrorCode.ProtocolError },
  {
    name: "SETTINGS that make a window too large",
    says: [frame(WindowUpdate, 0, 1, uint32(0x7fff_0000 - 65_535)), settings([4, 0x7fff_ffff])],
    code: ErrorCode.FlowControlError,
  },
  {
    name: "a flood of SETTINGS",
    says: Array.from({ length: 20_000 }, () => settings()),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "PUSH_PROMISE",
    says: [frame(PushPromise, Flag.EndHeaders, 1, hex("00000002 88"))],
    code: ErrorCode.ProtocolError,
  },
  { name: "PING on a stream", says: [frame(Ping, 0, 1, bytes(8))], code: ErrorCode.ProtocolError },
  { name: "PING of 7 bytes", says: [frame(Ping, 0, 0, bytes(7))], code: ErrorCode.FrameSizeError },
  {
    name: "a flood of PING",
    says: Array.from({ length: 20_000 }, () => frame(Ping, 0, 0, bytes(8))),
    code: ErrorCode.EnhanceYourCalm,
  },
  { name: "GOAWAY on a stream", says: [frame(GoAway, 0, 1, bytes(8))], code: ErrorCode.ProtocolError },
  { name: "GOAWAY of 7 bytes", says: [frame(GoAway, 0, 0, bytes(7))], code: ErrorCode.FrameSizeError },
  {
    name: "GOAWAY with a higher last stream than before",
    says: [frame(GoAway, 0, 0, hex("00000001 00000000")), frame(GoAway, 0, 0, hex("00000003 00000000"))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "WINDOW_UPDATE of 3 bytes",
    says: [frame(WindowUpdate, 0, 1, bytes(3))],
    code: ErrorCode.FrameSizeError,
  },
  {
    name: "WINDOW_UPDATE with an increment of 0 for the connection",
    says: [frame(WindowUpdate, 0, 0, uint32(0))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "WINDOW_UPDATE on a stream never opened",
    says: [frame(WindowUpdate, 0, 5, uint32(1))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "a connection window that grows too large",
    says: [frame(WindowUpdate, 0, 0, uint32(0x7fff_ffff))],
    code: ErrorCode.FlowControlError,
  },
  {
    name: "a flood of empty DATA",
    says: [initialHeaders(1), ...Array.from({ length: 20_000 }, () => frame(Data, 0, 1))],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of padding",
    says: [initialHeaders(1), ...Array.from({ length: 20_000 }, () => frame(Data, Flag.Padded, 1, bytes(1)))],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of informational headers",
    says: Array.from({ length: 20_000 }, () =>
      frame(Headers, Flag.EndHeaders, 1, block([[":status", "103"]])),
    ),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of large informational headers",
    says: Array.from({ length: 2_000 }, () =>
      frame(
        Headers,
        Flag.EndHeaders,
        1,
        block([
          [":status", "103"],
          ["link", "x".repeat(15_000)],
        ]),
      ),
    ),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of WINDOW_UPDATE for the stream",
    says: Array.from({ length: 20_000 }, () => frame(WindowUpdate, 0, 1, uint32(1))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of WINDOW_UPDATE for the connection",
    says: Array.from({ length: 20_000 }, () => frame(WindowUpdate, 0, 0, uint32(1))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of tiny DATA with large padding",
    says: [
      initialHeaders(1),
      frame(Data, 0, 1, hex("00 00100000")),
      ...Array.from({ length: 20_000 }, () =>
        frame(Data, Flag.Padded, 1, Buffer.concat([hex("ff"), bytes(256)])),
      ),
    ],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of PING with some DATA between",
    says: [
      initialHeaders(1),
      frame(Data, 0, 1, hex("00 00100000")),
      ...Array.from({ length: 20_000 }, (_, index) =>
        index % 1000 === 0 ? frame(Data, 0, 1, bytes(16)) : frame(Ping, 0, 0, bytes(8)),
      ),
    ],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of acknowledgements of SETTINGS",
    says: Array.from({ length: 20_000 }, () => frame(Settings, Flag.Ack, 0)),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of acknowledgements of PING",
    says: Array.from({ length: 20_000 }, () => frame(Ping, Flag.Ack, 0, bytes(8))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of GOAWAY that allows all streams",
    says: Array.from({ length: 20_000 }, () => frame(GoAway, 0, 0, hex("7fffffff 00000000"))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of empty CONTINUATION",
    says: [
      frame(Headers, 0, 1, initialBlock),
      ...Array.from({ length: 20_000 }, () => frame(Continuation, 0, 1)),
    ],
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of large unknown frames",
    says: Array.from({ length: 2_000 }, () => frame(0x77, 0, 1, bytes(16_384))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a header block of table size updates",
    says: [frame(Headers, end, 1, Buffer.concat([Buffer.alloc(1000, 0x20), trailersOnlyOk]))],
    code: ErrorCode.CompressionError,
  },
  {
    name: "RST_STREAM of a stream never opened",
    says: [frame(RstStream, 0, 7, uint32(8))],
    code: ErrorCode.ProtocolError,
  },
  {
    name: "a flood of PRIORITY",
    says: Array.from({ length: 20_000 }, () => frame(Priority, 0, 1, bytes(5))),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of unknown frames",
    says: Array.from({ length: 20_000 }, () => frame(0x77, 0, 1)),
    code: ErrorCode.EnhanceYourCalm,
  },
  {
    name: "a flood of resets of a stream that is gone",
    says: [response(1), ...Array.from({ length: 20_000 }, () => frame(RstStream, 0, 1, uint32(8)))],
    code: ErrorCode.EnhanceYourCalm,
  },
];

/** Answers every call on every connection but the first. */
function handleStream(peer: RawPeer): void {
  peer.send(settings());
  peer.onRequest(stream => peer.send(response(stream, "fine")));
}

for (const { name, says, code } of onConnection) {
  test(`${name} ends the connection with code ${code}, and nothing else`, async () => {
    const server = await startRawServer(peer => {
      if (peer.index > 0) {
        handleStream(peer);
      } else {
        peer.send(settings());
        peer.onRequest(() => peer.send(...says));
      }
    });
    const bystander = await startRawServer(handleStream);
    const channel = openChannel([server.address], { transport: "lean" });
    const other = openChannel([bystander.address], { transport: "lean" });
    assert.equal((await other.unary(unaryCall())).status.code, Code.OK);
    const { status } = await channel.unary(unaryCall());
    // A stream with a response before the offence keeps it.
    if (status.code !== Code.OK) {
      assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "protocol"], status.message);
      assert.match(status.message, /the upstream broke HTTP\/2: /);
    }
    const goAway = await server.peers[0]!.seen(({ type }) => type === GoAway);
    assert.equal(goAway.payload.readUInt32BE(4), code, goAway.payload.toString("latin1", 8));
    await server.peers[0]!.closed;
    const after = await channel.unary(unaryCall());
    assert.equal(String(after.message), "fine");
    assert.equal((await other.unary(unaryCall())).status.code, Code.OK);
    assert.equal(bystander.peers.length, 1);
    await Promise.all([channel.close(), other.close()]);
    await Promise.all([server.close(), bystander.close()]);
  });
}

interface StreamOffence extends Offence {
  readonly code: number;
  readonly origin: CallStatus["origin"];
  readonly message: RegExp;
}

const onStream: readonly StreamOffence[] = [
  {
    name: "DATA before HEADERS",
    says: [data],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /DATA before/,
  },
  {
    name: "HEADERS without :status",
    says: [frame(Headers, Flag.EndHeaders, 1, block([["content-type", "application/grpc"]]))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /no :status/,
  },
  ...(["abc", "20", "2000", "099", ""] as const).map(value => ({
    name: `:status "${value}"`,
    says: [frame(Headers, end, 1, block([[":status", value]]))],
    code: Code.INTERNAL,
    origin: "protocol" as const,
    message: /malformed :status/,
  })),
  {
    name: ":status twice",
    says: [frame(Headers, end, 1, Buffer.concat([hex("88"), initialBlock]))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /malformed :status/,
  },
  {
    name: "a pseudo-header after a field",
    says: [frame(Headers, end, 1, Buffer.concat([okBlock, initialBlock]))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /after other header fields/,
  },
  ...(
    [
      [":path", "/"],
      ["X-Upper", "v"],
      ["a b", "v"],
      ["a:b", "v"],
      ["caf\u00e9", "v"],
      ["", "v"],
      ["x-name", "a\nb"],
      ["x-name", "a\rb"],
      ["x-name", "a\0b"],
      ["x-name", " padded"],
      ["connection", "close"],
      ["transfer-encoding", "chunked"],
      ["upgrade", "h2c"],
      ["keep-alive", "5"],
      ["proxy-connection", "close"],
    ] as const
  ).map(([name, value]) => ({
    name: `the field ${JSON.stringify(`${name}: ${value}`)}`,
    says: [frame(Headers, end, 1, Buffer.concat([trailersOnlyOk, block([[name, value]])]))],
    code: Code.INTERNAL,
    origin: "protocol" as const,
    message: /is not allowed/,
  })),
  {
    name: "informational headers that end the stream",
    says: [frame(Headers, end, 1, block([[":status", "103"]]))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /informational status 103/,
  },
  {
    name: "status 101",
    says: [frame(Headers, Flag.EndHeaders, 1, block([[":status", "101"]]))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /informational status 101/,
  },
  {
    name: "a second block of headers that does not end the stream",
    says: [initialHeaders(1), frame(Headers, Flag.EndHeaders, 1, okBlock)],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /between the messages/,
  },
  {
    name: ":status among the trailers",
    says: [initialHeaders(1), data, frame(Headers, end, 1, trailersOnlyOk)],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /pseudo-header among the trailers/,
  },
  {
    name: "WINDOW_UPDATE with an increment of 0 for the stream",
    says: [frame(WindowUpdate, 0, 1, uint32(0))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /WINDOW_UPDATE with an increment of 0/,
  },
  {
    name: "a stream window that grows too large",
    says: [frame(WindowUpdate, 0, 1, uint32(0x7fff_ffff))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /window grows too large/,
  },
  {
    name: "more metadata than 64 KiB, compressed to little",
    says: [
      // One field of 4,000 bytes goes into the table, and is named again and again.
      frame(
        Headers,
        Flag.EndHeaders,
        1,
        Buffer.concat([
          initialBlock,
          hex("4003 782d61 7fa11e"),
          Buffer.alloc(4000, "v"),
          Buffer.alloc(100, 0xbe),
        ]),
      ),
    ],
    code: Code.RESOURCE_EXHAUSTED,
    origin: "size",
    message: /64 KiB of metadata/,
  },
  {
    name: "a message flag that does not exist",
    says: [initialHeaders(1), frame(Data, 0, 1, message(Buffer.from("x"), 2))],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /not made of gRPC messages/,
  },
  {
    name: "a compressed message of an unknown encoding",
    says: [
      frame(Headers, Flag.EndHeaders, 1, Buffer.concat([initialBlock, block([["grpc-encoding", "zstd"]])])),
      frame(Data, 0, 1, message(Buffer.from("x"), 1)),
    ],
    code: Code.INTERNAL,
    origin: "protocol",
    message: /"zstd", expected gzip/,
  },
  ...(
    [
      [ErrorCode.NoError, Code.INTERNAL, "protocol"],
      [ErrorCode.ProtocolError, Code.INTERNAL, "protocol"],
      [ErrorCode.InternalError, Code.INTERNAL, "protocol"],
      [ErrorCode.FlowControlError, Code.INTERNAL, "protocol"],
      [ErrorCode.StreamClosed, Code.INTERNAL, "protocol"],
      [ErrorCode.FrameSizeError, Code.INTERNAL, "protocol"],
      [ErrorCode.Cancel, Code.CANCELLED, "http"],
      [ErrorCode.CompressionError, Code.INTERNAL, "protocol"],
      [ErrorCode.ConnectError, Code.INTERNAL, "protocol"],
      [ErrorCode.EnhanceYourCalm, Code.RESOURCE_EXHAUSTED, "http"],
      [ErrorCode.InadequateSecurity, Code.PERMISSION_DENIED, "http"],
      [0xffff_ffff, Code.INTERNAL, "protocol"],
    ] as const
  ).map(([reset, code, origin]) => ({
    name: `RST_STREAM with code ${reset}`,
    says: [frame(RstStream, 0, 1, uint32(reset))],
    code,
    origin,
    message: /./,
  })),
];

for (const { name, says, code, origin, message: text } of onStream) {
  test(`${name} fails the call with code ${code}, and the connection goes on`, async () => {
    const server = await startRawServer(peer => {
      peer.send(settings());
      peer.onRequest(stream => (stream === 1 ? peer.send(...says) : peer.send(response(stream, "fine"))));
    });
    const channel = openChannel([server.address], { transport: "lean" });
    const { status } = await channel.unary(unaryCall());
    assert.deepEqual([status.code, status.origin], [code, origin], status.message);
    assert.match(status.message, text);
    assert.equal(String((await channel.unary(unaryCall())).message), "fine");
    assert.equal(server.peers.length, 1);
    await channel.close();
    await server.close();
  });
}

for (const [what, says] of [
  [
    "informational headers first",
    [
      frame(
        Headers,
        Flag.EndHeaders,
        1,
        block([
          [":status", "103"],
          ["link", "x"],
        ]),
      ),
      response(1),
    ],
  ],
  [
    "unknown frames and settings between",
    [frame(0x42, 0xff, 1, bytes(100)), settings([0x7777, 1]), response(1), frame(0x42, 0, 0)],
  ],
  [
    "PRIORITY for any stream",
    [frame(Priority, 0, 1, bytes(5)), frame(Priority, 0, 99, bytes(5)), response(1)],
  ],
  [
    "padding and priority in every frame",
    [
      frame(
        Headers,
        Flag.EndHeaders | Flag.Padded | Flag.Priority,
        1,
        Buffer.concat([hex("03 00000000 10"), initialBlock, bytes(3)]),
      ),
      frame(Data, Flag.Padded, 1, Buffer.concat([hex("ff"), message(Buffer.from("x")), bytes(255)])),
      frame(Headers, end | Flag.Padded, 1, Buffer.concat([hex("00"), okBlock])),
    ],
  ],
  [
    "every header block and message in pieces",
    [
      frame(Headers, 0, 1, initialBlock.subarray(0, 5)),
      frame(Continuation, 0, 1, initialBlock.subarray(5, 6)),
      frame(Continuation, Flag.EndHeaders, 1, initialBlock.subarray(6)),
      ...[...message(Buffer.from("x"))].map(byte => frame(Data, 0, 1, Buffer.from([byte]))),
      frame(Data, 0, 1),
      frame(Headers, Flag.EndStream, 1, okBlock.subarray(0, 3)),
      frame(Continuation, Flag.EndHeaders, 1, okBlock.subarray(3)),
    ],
  ],
  [
    "stray frames of the stream after its end",
    [
      response(1),
      frame(WindowUpdate, 0, 1, uint32(1)),
      frame(RstStream, 0, 1, uint32(0)),
      data,
      okTrailers(1),
    ],
  ],
] as const) {
  for (const size of [1, 7, 100_000]) {
    test(`a response with ${what} is read, ${size} bytes at a time`, async () => {
      const server = await startRawServer(peer => {
        peer.socket.setNoDelay(true);
        peer.send(settings());
        let sending = Promise.resolve();
        const send = async (all: Buffer) => {
          for (let at = 0; at < all.length; at += size) {
            peer.send(all.subarray(at, at + size));
            if (at % (size * 8) === 0) await new Promise(resolve => setImmediate(resolve));
          }
        };
        peer.onRequest(stream => {
          sending = sending.then(() => send(stream === 1 ? Buffer.concat(says) : response(stream, "fine")));
        });
      });
      const channel = openChannel([server.address], { transport: "lean" });
      const { status, message: got } = await channel.unary(unaryCall());
      assert.equal(status.code, Code.OK, status.message);
      assert.equal(String(got), "x");
      assert.equal(String((await channel.unary(unaryCall())).message), "fine");
      await channel.close();
      await server.close();
    });
  }
}
