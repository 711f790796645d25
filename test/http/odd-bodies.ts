import { afterChunks, chunked, get, type OddRequest, pipelining, post } from "./odd-request.js";

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
];
