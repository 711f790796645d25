import { afterChunks, answers505, chunked, get, type OddRequest, pipelining, post } from "./odd-request.js";

/** Bodies, and what comes behind them. */
export const oddBodies: readonly OddRequest[] = [
  { what: "a body with GET", parts: [`${get("/a", "content-length: 2\r\n")}ab`], outcome: "GET /a 2 -> 200" },
  { what: "an empty body", parts: [post("content-length: 0\r\n", "")], outcome: "POST /a 0 -> 200" },
  {
    what: "zeros before a length",
    parts: [post("content-length: 002\r\n", "ab")],
    outcome: "POST /a 2 -> 200",
  },
  {
    what: "a body beyond the limit",
    parts: [post("content-length: 100\r\n", "x".repeat(100))],
    outcome: "-> 413 closed",
  },
  {
    what: "a length beyond 32 bits",
    parts: [post("content-length: 4294967298\r\n", "ab")],
    outcome: "-> 413 closed",
  },
  {
    what: "Expect: 100-continue",
    parts: [post("content-length: 2\r\nexpect: 100-continue\r\n", ""), "ab"],
    outcome: "POST /a 2 -> 100 200",
  },
  {
    what: "Expect: 100-continue before a body beyond the limit",
    parts: [post("content-length: 100\r\nexpect: 100-continue\r\n", "")],
    outcome: {
      fastify: "-> 413 closed",
      uws: "-> 100 413 closed",
      because: "uWebSockets.js asks for every body before it hands the request over",
    },
  },
  {
    what: "Expect: 100-continue before chunks",
    parts: [post(`${chunked}expect: 100-continue\r\n`, ""), "2\r\nab\r\n0\r\n\r\n"],
    outcome: { fastify: "POST /a 2 -> 100 200", uws: "POST /a 2 -> 100 200 closed", because: afterChunks },
  },
  {
    what: "Expect: 100-Continue",
    parts: [post("content-length: 2\r\nexpect: 100-Continue\r\n", "ab")],
    outcome: {
      fastify: "POST /a 2 -> 100 200",
      uws: "POST /a 2 -> 200",
      because: "uWebSockets.js knows it in lower case only; clients do not wait for long",
    },
  },
  {
    what: "an expectation that nobody can meet",
    parts: [post("content-length: 2\r\nexpect: x\r\n", "ab")],
    outcome: "POST /a 2 -> 200",
  },
  {
    what: "chunks",
    parts: [post(chunked, "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")],
    outcome: { fastify: "POST /a 5 -> 200", uws: "POST /a 5 -> 200 closed", because: afterChunks },
  },
  {
    what: "a space and a tab behind chunked",
    parts: [post("transfer-encoding: chunked \t\r\n", "2\r\nab\r\n0\r\n\r\n")],
    outcome: {
      fastify: "-> 400 closed",
      uws: "POST /a 2 -> 200 closed",
      because: "Node.js takes the tab, which is none of the value, for part of it",
    },
  },
  {
    what: "chunks in any case",
    parts: [post("transfer-encoding: Chunked\r\n", "A\r\n0123456789\r\n0\r\n\r\n")],
    outcome: { fastify: "POST /a 10 -> 200", uws: "POST /a 10 -> 200 closed", because: afterChunks },
  },
  {
    what: "a chunk size with twenty thousand zeros",
    parts: [post(chunked, `${"0".repeat(20_000)}2\r\nab\r\n0\r\n\r\n`)],
    outcome: { fastify: "POST /a 2 -> 200", uws: "POST /a 2 -> 200 closed", because: afterChunks },
  },
  {
    what: "a chunk extension of forty thousand bytes",
    parts: [post(chunked, `2;${"x".repeat(40_000)}\r\nab\r\n0\r\n\r\n`)],
    outcome: "-> 400 closed",
  },
  {
    what: "chunks of one byte beyond the limit",
    parts: [post(chunked, "1\r\na\r\n".repeat(100))],
    outcome: "-> 413 closed",
  },
  {
    what: "trailers of thirty thousand bytes",
    parts: [post(chunked, `2\r\nab\r\n0\r\n${"x: y\r\n".repeat(5000)}\r\n`)],
    outcome: {
      fastify: "POST /a 2 -> 200",
      uws: "POST /a 2 -> 505 closed",
      because: "uWebSockets.js knows no trailers and takes them for a request",
    },
  },
  {
    what: "chunks with an extension",
    parts: [post(chunked, "2;x=y\r\nab\r\n0\r\n\r\n")],
    outcome: {
      fastify: "POST /a 2 -> 200",
      uws: "-> 400 closed",
      because: "uWebSockets.js knows no extensions",
    },
  },
  {
    what: "chunks with a trailer",
    parts: [post(chunked, "2\r\nab\r\n0\r\nx: y\r\n\r\n")],
    outcome: {
      fastify: "POST /a 2 -> 200",
      uws: "POST /a 2 -> 505 closed",
      because: "uWebSockets.js knows no trailers and takes them for a request",
    },
  },
  {
    what: "chunks beyond the limit",
    parts: [post(chunked, `64\r\n${"x".repeat(100)}\r\n`)],
    outcome: "-> 413 closed",
  },
  {
    what: "two requests at once",
    parts: [get("/a") + get("/b")],
    outcome: { fastify: "GET /a 0; GET /b 0 -> 200 200", uws: "GET /a 0 -> closed", because: pipelining },
  },
  {
    what: "a request behind a body",
    parts: [post("content-length: 2\r\n", `ab${get("/b")}`)],
    outcome: { fastify: "GET /b 0; POST /a 2 -> 200 200", uws: "POST /a 2 -> closed", because: pipelining },
  },
  {
    what: "a refused request behind another: the replies keep their order",
    parts: [get("/a") + post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n") + get("/b")],
    outcome: { fastify: "GET /a 0 -> 200 400 closed", uws: "GET /a 0 -> closed", because: pipelining },
  },
  {
    what: "bytes that are no HTTP behind a request",
    parts: [`${get("/a")}what is this\r\n\r\n`],
    outcome: {
      fastify: "GET /a 0 -> 200 400 closed",
      uws: "GET /a 0 -> 505 closed",
      because: `${answers505}, and before what is due`,
    },
  },
  {
    what: "more pipelined requests than may be under way at once",
    parts: [get("/a").repeat(150)],
    outcome: {
      fastify: `${Array(100).fill("GET /a 0").join("; ")} -> ${"200 ".repeat(100)}400 closed`,
      uws: "GET /a 0 -> closed",
      because: pipelining,
    },
  },
];
