import { answers505, get, host, type OddRequest, waits } from "./odd-request.js";

/** Requests whose form decides what they are. */
export const oddTargets: readonly OddRequest[] = [
  { what: "a query", parts: [get("/a?x=1")], outcome: "GET /a?x=1 0 -> 200" },
  { what: "an empty query", parts: [get("/a?")], outcome: "GET /a 0 -> 200" },
  { what: "a second question mark", parts: [get("/a?b?c")], outcome: "GET /a?b?c 0 -> 200" },
  { what: "a fragment", parts: [get("/a?x#f")], outcome: "GET /a?x#f 0 -> 200" },
  { what: "slashes, dots and escapes", parts: [get("//a/%2F/../b")], outcome: "GET //a/%2F/../b 0 -> 200" },
  {
    what: "the absolute form",
    parts: [get("http://x/a?b")],
    outcome: { fastify: "GET /a?b 0 -> 200", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "the asterisk form",
    parts: [`OPTIONS * HTTP/1.1\r\n${host}\r\n`],
    outcome: { fastify: "OPTIONS * 0 -> 200", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "CONNECT",
    parts: [`CONNECT a:80 HTTP/1.1\r\n${host}\r\n`],
    outcome: { fastify: "-> closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "CONNECT with a path",
    parts: [`CONNECT /a HTTP/1.1\r\n${host}\r\n`],
    outcome: {
      fastify: "-> closed",
      uws: "CONNECT /a 0 -> 200",
      because: "Node.js keeps CONNECT for proxies; to uWebSockets.js it is a method, which no route has",
    },
  },
  { what: "an unknown method", parts: [`FOO /a HTTP/1.1\r\n${host}\r\n`], outcome: "-> 400 closed" },
  { what: "a method in lower case", parts: [`get /a HTTP/1.1\r\n${host}\r\n`], outcome: "-> 400 closed" },
  { what: "a rare method", parts: [`M-SEARCH /a HTTP/1.1\r\n${host}\r\n`], outcome: "M-SEARCH /a 0 -> 200" },
  {
    what: "HEAD, then another request",
    parts: [`HEAD /a HTTP/1.1\r\n${host}\r\n`, get("/b")],
    outcome: "GET /b 0; HEAD /a 0 -> 200 200",
  },
  {
    what: "HTTP/1.0",
    parts: [`GET /a HTTP/1.0\r\n${host}\r\n`],
    outcome: { fastify: "GET /a 0 -> 200 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "HTTP/0.9",
    parts: ["GET /a\r\n\r\n"],
    outcome: { fastify: "-> 400 closed", uws: "->", because: waits },
  },
  {
    what: "the authority form",
    parts: [get("a:80")],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "HTTP/1.2",
    parts: [`GET /a HTTP/1.2\r\n${host}\r\n`],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "the preface of HTTP/2",
    parts: ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "two spaces behind the method",
    parts: [`GET  /a HTTP/1.1\r\n${host}\r\n`],
    outcome: { fastify: "GET /a 0 -> 200", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "a space in the target",
    parts: [get("/a b")],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "a NUL in the target",
    parts: [get("/a\0")],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  { what: "bytes above ASCII in the target", parts: [get("/\xc3\xa9")], outcome: "-> 400 closed" },
  { what: "a DEL in the target", parts: [get("/a\x7f")], outcome: "-> 400 closed" },
  {
    what: "a target beyond the limit for heads",
    parts: [get(`/${"y".repeat(20_000)}`)],
    outcome: "-> 431 closed",
  },
  {
    what: "an empty line first",
    parts: [`\r\n${get("/a")}`],
    outcome: { fastify: "GET /a 0 -> 200", uws: "->", because: waits },
  },
  {
    what: "line ends without CR",
    parts: ["GET /a HTTP/1.1\nhost: a\n\n"],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
  {
    what: "bytes of TLS",
    parts: [`\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"\0".repeat(40)}\r\n\r\n`],
    outcome: { fastify: "-> 400 closed", uws: "-> 505 closed", because: answers505 },
  },
];

/** Header lines as clients and attackers may write them. */
export const oddHeaders: readonly OddRequest[] = [
  {
    what: "no host",
    parts: ["GET /a HTTP/1.1\r\n\r\n"],
    outcome: { fastify: "-> 400 closed", uws: "->", because: waits },
  },
  { what: "an empty host", parts: ["GET /a HTTP/1.1\r\nhost:\r\n\r\n"], outcome: "GET /a 0 -> 200" },
  {
    what: "two hosts",
    parts: [get("/a", host)],
    outcome: "-> 400 closed",
  },
  ...[
    ["a folded line", "x: a\r\n b\r\n"],
    ["a space before the colon", "x : a\r\n"],
    ["no colon", "xyz\r\n"],
    ["a line end without CR", "x: a\ny: b\r\n"],
    ["a CR without line feed", "x: a\rb\r\n"],
    ["a NUL in a value", "x: a\0b\r\n"],
    ["a control character in a value", "x: a\x01b\r\n"],
    ["a name that is no token", "x@(y): 1\r\n"],
  ].map(([what = "", line]) => ({
    what,
    parts: [get("/a", line)],
    outcome: { fastify: "-> 400 closed", uws: "->", because: waits },
  })),
  {
    what: "an empty name",
    parts: [get("/a", ": a\r\n")],
    outcome: {
      fastify: "-> 400 closed",
      uws: "GET /a 0 -> 200",
      because: "to uWebSockets.js the list of headers ends there; proxies do not pass such a line on",
    },
  },
  {
    what: "several lines of one name",
    parts: [get("/a", "x: 1\r\nx: 2\r\n")],
    outcome: "GET /a 0 x=1, 2 -> 200",
  },
  {
    what: "two cookie lines",
    parts: [get("/a", "cookie: a\r\ncookie: b\r\n")],
    outcome: "GET /a 0 cookie=a; b -> 200",
  },
  {
    what: "two content types",
    parts: [get("/a", "content-type: a\r\ncontent-type: b\r\n")],
    outcome: "GET /a 0 content-type=a, b -> 200",
  },
  { what: "space around a value", parts: [get("/a", "x: \t 1 \t \r\n")], outcome: "GET /a 0 x=1 -> 200" },
  {
    what: "a byte above ASCII at the end of a value",
    parts: [get("/a", "x: 1\xe9\r\n")],
    outcome: {
      fastify: "GET /a 0 x=1\xe9 -> 200",
      uws: "GET /a 0 x=1 -> 200",
      because:
        "uWebSockets.js strips it like a space; what has such bytes inside is refused as metadata on both",
    },
  },
  {
    what: "UTF-8 in a value: bytes stay bytes",
    parts: [get("/a", "x: a\xc3\xa9b\r\n")],
    outcome: "GET /a 0 x=a\xc3\xa9b -> 200",
  },
  {
    what: "a byte in a value that is no UTF-8",
    parts: [get("/a", "x: a\xe9b\r\n")],
    outcome: {
      fastify: "GET /a 0 x=a\xe9b -> 200",
      uws: "GET /a 0 x=a\xef\xbf\xbdb -> 200",
      because: "uWebSockets.js hands values over as UTF-8, with U+FFFD for what is none",
    },
  },
  {
    what: "a byte above ASCII in a name",
    parts: [get("/a", "x\xe9: b\r\n")],
    outcome: { fastify: "-> 400 closed", uws: "->", because: waits },
  },
  {
    what: "headers beyond the limit",
    parts: [get("/a", `x: ${"y".repeat(20_000)}\r\n`)],
    outcome: "-> 431 closed",
  },
  {
    what: "more than 100 headers",
    parts: [get("/a", "y: z\r\n".repeat(120))],
    outcome: {
      fastify: "GET /a 0 -> 200",
      uws: "-> 431 closed",
      because: "uWebSockets.js takes at most 100",
    },
  },
  {
    what: "a length behind a thousand headers",
    parts: [`POST /a HTTP/1.1\r\n${host}${"a:\r\n".repeat(1100)}content-length: 2\r\n\r\nab`],
    outcome: {
      fastify: "POST /a 2 -> 200",
      uws: "-> 431 closed",
      because: "uWebSockets.js takes at most 100",
    },
  },
  {
    what: "an upgrade that nobody offers",
    parts: [get("/a", "connection: upgrade\r\nupgrade: websocket\r\n")],
    outcome: "GET /a 0 -> 200",
  },
  {
    what: "connection: close",
    parts: [get("/a", "connection: close\r\n")],
    outcome: "GET /a 0 -> 200 closed",
  },
  {
    what: "close among others",
    parts: [get("/a", "connection: te, Close\r\n")],
    outcome: "GET /a 0 -> 200 closed",
  },
];
