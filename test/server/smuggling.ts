import {
  afterChunks,
  chunked,
  ends,
  get,
  type OddRequest,
  pipelining,
  post,
  smuggled,
  waits,
} from "./odd-request.js";

/** Requests of which two servers could see different ends. Both parts go out at once, then apart. */
const refusedAttempts: readonly OddRequest[] = (
  [
    [
      "content-length behind transfer-encoding",
      `${chunked}content-length: 4\r\n`,
      "0\r\n\r\n",
      "-> 400 closed",
    ],
    [
      "content-length before transfer-encoding",
      `content-length: 4\r\n${chunked}`,
      "0\r\n\r\n",
      "-> 400 closed",
    ],
    ["a list of lengths", "content-length: 2, 2\r\n", "ab", "-> 400 closed"],
    ["a length with a sign", "content-length: +2\r\n", "ab", "-> 400 closed"],
    ["a negative length", "content-length: -2\r\n", "ab", "-> 400 closed"],
    ["a length in hex", "content-length: 0x2\r\n", "ab", "-> 400 closed"],
    ["a length beyond 64 bits", `content-length: ${"9".repeat(30)}\r\n`, "ab", "-> 400 closed"],
    ["a chunk size that is no number", chunked, "zz\r\nab\r\n0\r\n\r\n", "-> 400 closed"],
    ["a negative chunk size", chunked, "-2\r\nab\r\n0\r\n\r\n", "-> 400 closed"],
    ["a chunk size with 0x", chunked, "0x2\r\nab\r\n0\r\n\r\n", "-> 400 closed"],
    ["a chunk size beyond 64 bits", chunked, "fffffffffffffffff\r\nab\r\n0\r\n\r\n", "-> 400 closed"],
    ["an unknown transfer coding", "transfer-encoding: xchunked\r\n", "0\r\n\r\n", "late"],
    ["chunked in quotes", 'transfer-encoding: "chunked"\r\n', "0\r\n\r\n", "late"],
    ["a coding behind chunked", "transfer-encoding: chunked, identity\r\n", "0\r\n\r\n", "late"],
    ["a coding before chunked", "transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n", "late"],
    ["a second transfer-encoding line", `${chunked}transfer-encoding: identity\r\n`, "0\r\n\r\n", "late"],
    ["chunked twice", chunked + chunked, "0\r\n\r\n", "late"],
    ["two lengths", "content-length: 2\r\ncontent-length: 3\r\n", "ab", "late"],
    ["the same length twice", "content-length: 2\r\ncontent-length: 2\r\n", "ab", "late"],
    ["an empty length", "content-length:\r\n", "", "late"],
    ["a folded transfer-encoding", "transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n", "waits"],
    ["a space behind transfer-encoding", "transfer-encoding : chunked\r\n", "0\r\n\r\n", "waits"],
    ["a vertical tab before chunked", "transfer-encoding: \x0bchunked\r\n", "0\r\n\r\n", "waits"],
    ["a vertical tab before a length", "content-length: \x0b2\r\n", "ab", "waits"],
    ["a NUL in a length", "content-length: 2\0\r\n", "ab", "waits"],
  ] as const
).flatMap(([what, fields, body, outcome]): OddRequest[] => {
  const refused = "-> 400 closed";
  if (outcome === "waits") {
    const waiting = { fastify: refused, uws: "->", because: waits };
    return [{ what, parts: [post(fields, body + smuggled)], outcome: waiting }];
  }
  const late = { fastify: refused, uws: "-> closed", because: ends };
  return [
    { what, parts: [post(fields, body + smuggled)], outcome: outcome === "late" ? late : outcome },
    { what: `${what}, what follows sent later`, parts: [post(fields, body), smuggled], outcome: refused },
  ];
});

const lenientChunks: readonly OddRequest[] = (
  [
    ["chunks whose lines end without CR", "2\nab\n0\n\n"],
    ["a chunk that is longer than its size", "2\r\nabc\r\n0\r\n\r\n"],
  ] as const
).map(([what, body]) => ({
  what: `${what}, what follows sent later`,
  parts: [post(chunked, body), smuggled],
  outcome: { fastify: "-> 400 closed", uws: "POST /a 2 -> 200 closed", because: afterChunks },
}));

const disguised: readonly OddRequest[] = [
  {
    what: "a trailer that reads like a request",
    parts: [post(chunked, "2\r\nab\r\n0\r\na:GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")],
    outcome: { fastify: "POST /a 2 -> 200", uws: "POST /a 2 -> closed", because: pipelining },
  },
  {
    what: "a trailer that reads like a request, sent later",
    parts: [post(chunked, "2\r\nab\r\n0\r\n\r\n"), smuggled],
    outcome: {
      fastify: "GET /smuggled 0; POST /a 2 -> 200 200",
      uws: "POST /a 2 -> 200 closed",
      because: afterChunks,
    },
  },
  {
    what: "a length behind an empty header name",
    parts: [get("/a", `: q\r\ncontent-length: ${smuggled.length}\r\n`) + smuggled],
    outcome: { fastify: "-> 400 closed", uws: "GET /a 0 -> closed", because: pipelining },
  },
];

/** Bodies whose end is in doubt. */
export const smugglingAttempts: readonly OddRequest[] = [...refusedAttempts, ...lenientChunks, ...disguised];
