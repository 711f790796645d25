import { deflateSync, gzipSync } from "node:zlib";
import { ErrorCode, Flag, FrameType } from "../../src/h2/protocol.js";
import { hex } from "../h2/bytes.js";
import {
  block,
  frame,
  initialBlock,
  initialHeaders,
  message,
  okTrailers,
  type RawPeer,
  response,
  settings,
  trailersOnlyOk,
  uint32,
} from "./h2/raw-server.js";

const { Data, Headers, RstStream, Ping, GoAway, WindowUpdate, Continuation, PushPromise } = FrameType;
const end = Flag.EndHeaders | Flag.EndStream;

/** What a hostile server does when a stream is opened. */
export interface Attack {
  readonly name: string;
  readonly act: (stream: number, peer: RawPeer) => void;
}

type Fields = readonly (readonly [name: string, value: string])[];

const says = (name: string, ...bytes: ((stream: number) => Uint8Array)[]): Attack => ({
  name,
  act: (stream, peer) => peer.send(...bytes.map(each => each(stream))),
});
const head = (fields: Fields, flags = 0) => {
  return (stream: number) => frame(Headers, Flag.EndHeaders | flags, stream, block(fields));
};
const data = (bytes: Uint8Array, flags = 0) => {
  return (stream: number) => frame(Data, flags, stream, bytes);
};
const raw = (type: number, flags: number, payload: Uint8Array) => {
  return (stream: number) => frame(type, flags, stream, payload);
};
const x = message(Buffer.from("x"));
const trailers = (name: string, fields: Fields): Attack =>
  says(name, initialHeaders, data(x), head(fields, Flag.EndStream));
const encoded = (name: string, encoding: string, bytes: Uint8Array): Attack =>
  says(
    name,
    head([
      [":status", "200"],
      ["content-type", "application/grpc"],
      ["grpc-encoding", encoding],
    ]),
    data(message(bytes, 1)),
    okTrailers,
  );
const cut = (name: string, bytes: Uint8Array, how: "end" | "reset"): Attack => ({
  name,
  act: (_stream, { socket }) => {
    socket.write(bytes);
    setImmediate(() => (how === "end" ? socket.end() : socket.resetAndDestroy()));
  },
});
const gzip = gzipSync("x");

export const attacks: readonly Attack[] = [
  // grpc-status
  trailers("two of grpc-status, 0 and 5", [
    ["grpc-status", "0"],
    ["grpc-status", "5"],
  ]),
  trailers("two of grpc-status, 5 and 0", [
    ["grpc-status", "5"],
    ["grpc-status", "0"],
  ]),
  ...["+0", "-0", "0x0", "0.0", "1e1", "99999999999999999999", "null", "0,0"].map(value =>
    trailers(`grpc-status ${value}`, [["grpc-status", value]]),
  ),
  trailers("grpc-status 2147483648", [["grpc-status", "2147483648"]]),
  trailers("no grpc-status but a grpc-message", [["grpc-message", "lost"]]),
  says(
    "grpc-status 5 in the initial headers and 0 in the trailers",
    initialHeaders,
    data(x),
    head([["grpc-status", "5"]], Flag.EndStream),
  ),
  says(
    "grpc-status in headers that do not end the stream",
    head([
      [":status", "200"],
      ["content-type", "application/grpc"],
      ["grpc-status", "0"],
    ]),
    data(x),
    okTrailers,
  ),
  // grpc-message and details
  ...["%", "%zz", "%e2%28%a1", "%00%0a%0d", "%25%", "%f0%9f", "\xff\xfe", "%C0%80"].map(value =>
    trailers(`grpc-message ${JSON.stringify(value)}`, [
      ["grpc-status", "5"],
      ["grpc-message", value],
    ]),
  ),
  trailers("grpc-message of 12 kB", [
    ["grpc-status", "5"],
    ["grpc-message", "%".repeat(12_000)],
  ]),
  ...["!!!!", "", "////", "CAUSBG5vcGU=", "CP///////////wE", ",", "A".repeat(12_000)].map(value =>
    trailers(`grpc-status-details-bin ${value.slice(0, 12)}`, [
      ["grpc-status", "5"],
      ["grpc-status-details-bin", value],
    ]),
  ),
  // Heads
  says(
    "a content type in capitals",
    head([
      [":status", "200"],
      ["content-type", "APPLICATION/GRPC"],
    ]),
    data(x),
    okTrailers,
  ),
  says(
    "two content types",
    head([
      [":status", "200"],
      ["content-type", "application/grpc"],
      ["content-type", "text/html"],
    ]),
    data(x),
    okTrailers,
  ),
  ...["99", "1000", "2OO", "-200", ""].map(value =>
    says(`:status ${JSON.stringify(value)}`, head([[":status", value]], Flag.EndStream)),
  ),
  says(
    "two of :status",
    head([
      [":status", "200"],
      [":status", "503"],
      ["content-type", "application/grpc"],
    ]),
    data(x),
    okTrailers,
  ),
  says(
    ":status after other fields",
    head([
      ["content-type", "application/grpc"],
      [":status", "200"],
    ]),
    data(x),
    okTrailers,
  ),
  says(
    "a pseudo-header of requests",
    head(
      [
        [":status", "200"],
        [":path", "/"],
      ],
      Flag.EndStream,
    ),
  ),
  says(
    "a thousand fields",
    head([
      [":status", "200"],
      ["content-type", "application/grpc"],
      ...Array.from({ length: 1000 }, (_, at): [string, string] => [`x-${at}`, "v"]),
    ]),
    data(x),
    okTrailers,
  ),
  says(
    "two thousand empty fields",
    head([
      [":status", "200"],
      ["content-type", "application/grpc"],
      ...Array.from({ length: 2000 }, (): [string, string] => ["x", ""]),
    ]),
    data(x),
    okTrailers,
  ),
  says(
    "a hundred informational heads and a response",
    ...Array.from({ length: 100 }, () => head([[":status", "103"]])),
    response,
  ),
  // Messages
  says("a length of 4 GiB", initialHeaders, data(hex("00ffffffff"))),
  says("a compressed length of 4 GiB", initialHeaders, data(hex("01ffffffff"))),
  says("flag 255", initialHeaders, data(hex("ff00000001 78")), okTrailers),
  says("an empty message", initialHeaders, data(hex("0000000000")), okTrailers),
  says("bytes behind the message", initialHeaders, data(Buffer.concat([x, hex("00")])), okTrailers),
  says("a head of a message only", initialHeaders, data(hex("0000")), okTrailers),
  says("a message that ends with the stream", initialHeaders, data(hex("0000000005 7878"), Flag.EndStream)),
  says("DATA before HEADERS", data(x), initialHeaders, okTrailers),
  says("trailers twice", initialHeaders, data(x), okTrailers, okTrailers),
  says("DATA behind the trailers", initialHeaders, data(x), okTrailers, data(x)),
  says("a message whose response never ends", initialHeaders, data(x)),
  says("headers and then nothing", initialHeaders),
  says("half a message and then nothing", initialHeaders, data(hex("0000000010 7878"))),
  // Compression
  encoded("gzip cut short", "gzip", gzip.subarray(0, 12)),
  encoded("gzip with rubbish behind", "gzip", Buffer.concat([gzip, hex("0badcafe")])),
  encoded("gzip of two members", "gzip", Buffer.concat([gzip, gzip])),
  encoded(
    "gzip with a wrong checksum",
    "gzip",
    Buffer.concat([gzip.subarray(0, -8), hex("deadbeef 01000000")]),
  ),
  encoded("a gzip bomb", "gzip", gzipSync(Buffer.alloc(10_000_000))),
  encoded("an empty compressed message", "gzip", Buffer.alloc(0)),
  encoded("deflate under the name of gzip", "gzip", deflateSync("x")),
  encoded("deflate", "deflate", deflateSync("x")),
  encoded("identity with the flag of compression", "identity", Buffer.from("x")),
  encoded("an encoding of 10 kB", "z".repeat(10_000), Buffer.from("x")),
  encoded("two encodings", "gzip, gzip", gzipSync(gzip)),
  // Resets
  ...[0, 1, 2, 3, 4, 5, 6, 9, 10, 13, 99, 0xffff_ffff].map(code =>
    says(
      `a reset with code ${code} within a message`,
      initialHeaders,
      data(hex("0000000005 78")),
      raw(RstStream, 0, uint32(code)),
    ),
  ),
  says("a reset with NO_ERROR behind a whole response", response, raw(RstStream, 0, uint32(0))),
  says("a reset before anything, and then a response", raw(RstStream, 0, uint32(ErrorCode.Cancel)), response),
  // Ends of the connection
  cut("FIN before anything", Buffer.alloc(0), "end"),
  cut("FIN within the head of a frame", hex("000001"), "end"),
  cut(
    "FIN within a message",
    Buffer.concat([initialHeaders(1), frame(Data, 0, 1, hex("0000000005 78"))]),
    "end",
  ),
  cut("RST before anything", Buffer.alloc(0), "reset"),
  cut("RST after the headers", initialHeaders(1), "reset"),
  // HPACK
  ...[
    "80",
    "be",
    "ffffffffff7f",
    "3fe21f",
    "3fffffffff0f",
    "00",
    "40",
    "0085ffffffffff",
    "0000",
    "7fffffffff7f00",
    "4003",
    "1f",
  ].map(bytes => says(`a header block ${bytes}`, raw(Headers, end, hex(bytes)))),
  says("a header block without an end", raw(Headers, 0, initialBlock)),
  says(
    "a header block in 2,000 pieces",
    raw(Headers, 0, trailersOnlyOk),
    ...Array.from({ length: 2000 }, () => raw(Continuation, 0, hex("0001610162"))),
  ),
  // Frames
  says("a promise of a push", raw(PushPromise, Flag.EndHeaders, hex("00000002 88"))),
  says("a frame of 2^24 - 1 bytes", () => hex("ffffff 00 00 00000001")),
  says("a frame whose reserved bit is set", stream => {
    const bytes = response(stream);
    bytes[5] = 0x80;
    return bytes;
  }),
  says("a PING of 9 bytes", () => frame(Ping, 0, 0, Buffer.alloc(9))),
  says("WINDOW_UPDATE that overflows the connection", () => frame(WindowUpdate, 0, 0, uint32(0x7fff_ffff))),
  says("WINDOW_UPDATE with an increment of 0", raw(WindowUpdate, 0, uint32(0))),
  says("SETTINGS that close every window, and a response", () => settings([4, 0], [6, 0]), response),
  says("SETTINGS of a frame size of nothing", () => settings([5, 0])),
  says("a response cut off by GOAWAY that counts it in", initialHeaders, stream =>
    frame(GoAway, 0, 0, Buffer.concat([uint32(stream), uint32(2), Buffer.alloc(10_000, "d")])),
  ),
  says("HTTP/1.1 in the middle", () => Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
  says("noise", () => Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7919) % 251))),
];
