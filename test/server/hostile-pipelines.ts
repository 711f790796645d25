import { chunked, get, host } from "./odd-request.js";

/** A request on a connection, and what must come of it where its client waits for the responses. */
export interface Piece {
  readonly what: string;
  readonly bytes: string;
  readonly method: string;
  /** `target status` of the response; undefined where the connection ends without one. */
  readonly response: string | undefined;
  /** Nothing behind it is a request. */
  readonly last: boolean;
}

const websocket = "connection: upgrade\r\nupgrade: websocket\r\n";
const h2c = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
const handshake = `${websocket}sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n`;

function piece(what: string, bytes: string, response: string | undefined, last = false): Piece {
  return { what, bytes, method: bytes.slice(0, bytes.indexOf(" ")), response, last };
}

function message(method: string, target: string, headers: string, body = "", version = "1.1"): string {
  return `${method} ${target} HTTP/${version}\r\n${host}${headers}\r\n${body}`;
}

const chunks = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

/** What is under way on the connection already. */
export const before: readonly (Piece | undefined)[] = [
  undefined,
  piece("a response at once", get("/now"), "/now 200"),
  piece("a slow response", get("/slow"), "/slow 200"),
  piece("a large response", get("/large"), "/large 200"),
  piece("a body", message("POST", "/body", "content-length: 5\r\n", "abcde"), "/body:5 200"),
  piece("a response that was refused", get("/missing"), "/missing 404"),
];

/** What means no good, or is odd. */
export const hostile: readonly Piece[] = [
  piece("an upgrade that nobody serves", get("/odd", websocket), "/odd 200"),
  piece("a slow request with an upgrade", get("/slow?odd", h2c), "/slow 200"),
  piece("h2c", get("/odd", h2c), "/odd 200"),
  piece("an upgrade on a missing route", get("/missing", websocket), "/missing 404"),
  piece("an empty upgrade", get("/odd", "connection: upgrade\r\nupgrade:\r\n"), "/odd 200"),
  piece("an upgrade to several protocols", get("/odd", `${h2c}upgrade: websocket\r\n`), "/odd 200"),
  piece("an upgrade that is not named in Connection", get("/odd", "upgrade: websocket\r\n"), "/odd 200"),
  piece(
    "an upgrade with a body",
    message("POST", "/body?odd", `${websocket}content-length: 5\r\n`, "abcde"),
    "/body:5 200",
  ),
  piece(
    "an upgrade with chunks",
    message("POST", "/body?odd", `${websocket}${chunked}`, chunks),
    "/body:5 200",
  ),
  piece(
    "an upgrade, a body and 100-continue",
    message("POST", "/body?odd", `${h2c}content-length: 5\r\nexpect: 100-continue\r\n`, "abcde"),
    "/body:5 200",
  ),
  piece("an upgrade by HEAD", message("HEAD", "/odd", websocket), "/odd 200"),
  piece("an upgrade by OPTIONS *", message("OPTIONS", "*", websocket), "* 200"),
  piece("an upgrade in the absolute form", get("http://a/odd", websocket), "/odd 200"),
  piece("an upgrade by HTTP/1.0", message("GET", "/odd", websocket, "", "1.0"), "/odd 200", true),
  piece("a WebSocket that is refused", get("/ws/refused", handshake), "/ws/refused 403", true),
  piece("a WebSocket that is refused later", get("/ws/late", handshake), "/ws/late 403", true),
  piece("a WebSocket that is taken", get("/ws/taken", handshake), "undefined 101", true),
  piece("a WebSocket that is dropped", get("/ws/dropped", handshake), undefined, true),
  piece("a handler that throws", get("/throws"), undefined, true),
  piece("CONNECT", "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", undefined, true),
  piece(
    "a coding that is not read",
    message("POST", "/odd", "transfer-encoding: gzip, chunked\r\n", chunks),
    "undefined 400",
    true,
  ),
  piece("two lengths", message("POST", "/odd", "content-length: 5, 6\r\n", "abcde"), "undefined 400", true),
  piece(
    "both ways of framing",
    message("POST", "/odd", `content-length: 5\r\n${chunked}`, chunks),
    "undefined 400",
    true,
  ),
  piece("two hosts", get("/odd", host), "undefined 400", true),
  piece("no HTTP", "\x16\x03\x01\r\n\r\n", "undefined 400", true),
  piece("an upgrade and two hosts", get("/odd", host + websocket), "undefined 400", true),
  piece(
    "chunks by HTTP/1.0",
    message("POST", "/body?odd", `connection: keep-alive\r\n${chunked}`, chunks, "1.0"),
    "/body:5 200",
    true,
  ),
  piece("chunks that are broken", message("POST", "/body?odd", chunked, "zz\r\n"), "/body:- 400", true),
  piece("a head that is too large", get("/odd", `x: ${"y".repeat(5000)}\r\n`), "undefined 431", true),
];

/** What comes behind. */
export const behind: readonly (Piece | undefined)[] = [
  undefined,
  piece("a request", get("/after"), "/after 200"),
  piece("h2c", get("/after", h2c), "/after 200"),
  piece("a body", message("POST", "/body?after", chunked, chunks), "/body:5 200"),
];

/** The responses that are due to all of them, in order. */
export function expectedResponses(pieces: readonly (Piece | undefined)[]): readonly string[] {
  const expected: string[] = [];
  for (const each of pieces) {
    if (each?.response !== undefined) expected.push(each.response);
    if (each?.last === true) break;
  }
  return expected;
}
