import type { HttpRequest } from "uWebSockets.js";
import { METHODS } from "node:http";
import { connectionHeaders, connectionOptions } from "../../net/headers.js";
import { gatewayError } from "../../status/failure.js";
import { type Refusal, refusal } from "../engine.js";

/**
 * The head of one request, copied while uWebSockets.js lets it be read: its request object must not be used once the
 * handler has returned. Its parser takes more than RFC 9112 allows, so everything that decides where a body ends is
 * checked here.
 */
export class RequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Bytes of the body; 0 where there is none, undefined where it is chunked. */
  bodyLength: number | undefined = 0;
  /** The client requested to end the connection with this response. */
  closing = false;
  readonly #fields: string[] = [];
  #size = 0;
  #hosts = 0;
  #lengths = 0;
  #encodings = 0;
  #fault = "";
  /** A bit for each length of a name, modulo 32: most looked-up names are absent, and no field has to be compared. */
  #lengthsOfNames = 0;

  constructor(request: HttpRequest) {
    // The name of the method first: other accessors change its case in place.
    this.method = known(request.getCaseSensitiveMethod());
    this.path = request.getUrl();
    // Undefined without `?`, unlike the type.
    this.query = request.getQuery() ?? "";
    reading = this;
    request.forEach(collect);
  }

  /**
   * The error of this head; undefined: none.
   * @param limit bytes of the target, and of names and values of headers together
   * @param headerLimit bytes of names and values of headers
   */
  fault(limit: number, headerLimit: number): Refusal | undefined {
    const { method, path, query } = this;
    // UTF-8 takes at most three bytes for a unit of the text.
    const size = this.#size * 3 > headerLimit ? this.#bytes() : this.#size;
    if (size > headerLimit || size + path.length + query.length >= limit)
      return refusal("HEADERS_TOO_LARGE", `request headers are limited to ${headerLimit} bytes`);
    if (this.#fault !== "") return refusal("MALFORMED_REQUEST", this.#fault);
    if (!methods.has(method)) return refusal("MALFORMED_REQUEST", "the method is not one of HTTP");
    if (!visible.test(path) || !(query === "" || visible.test(query)))
      return refusal("MALFORMED_REQUEST", "the request target has characters that must be percent-encoded");
    if (this.#hosts !== 1) return refusal("MALFORMED_REQUEST", "expected one host header");
    if (this.#lengths + this.#encodings > 1)
      return refusal("MALFORMED_REQUEST", "the length of the body is given more than once");
    return undefined;
  }

  /** The value of a header by lower-case name, several lines joined, one byte a character. */
  header(name: string): string | undefined {
    if ((this.#lengthsOfNames & (1 << name.length)) === 0) return undefined;
    const fields = this.#fields;
    let value: string | undefined;
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== name) continue;
      value = joined(name, value, bytesOf(fields[index + 1] as string));
    }
    return value;
  }

  /**
   * All headers by lower-case name, several lines of one joined, one byte a character.
   * @throws GatewayError INVALID_HEADER for a value whose bytes are not known
   */
  headers(): Record<string, string> {
    const fields = this.#fields;
    const all = new Map<string, string>();
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] as string;
      const value = bytesOf(fields[index + 1] as string);
      if (value.includes(replacement) && !connectionHeaders.has(name) && !this.#ofConnection(name)) {
        const message = `header "${name}" must be ASCII or UTF-8 to be forwarded by this HTTP engine`;
        throw gatewayError("INVALID_HEADER", message);
      }
      all.set(name, joined(name, all.get(name), value));
    }
    return Object.fromEntries(all);
  }

  /** Whether `Connection` names the header, which is then not forwarded (RFC 9110 §7.6.1). */
  #ofConnection(name: string): boolean {
    return connectionOptions(this.header("connection") ?? "").has(name);
  }

  #bytes(): number {
    return this.#fields.reduce((size, text) => size + Buffer.byteLength(text), 0);
  }

  add(name: string, value: string): void {
    this.#fields.push(name, value);
    this.#lengthsOfNames |= 1 << name.length;
    this.#size += name.length + value.length;
    if (value.includes(del)) this.#fault = "a header has a control character";
    switch (name) {
      case "host":
        this.#hosts++;
        break;
      case "connection":
        this.closing ||= closeOption.test(value);
        break;
      case "content-length":
        this.#lengths++;
        if (digits.test(value)) this.bodyLength = Number(value);
        else this.#fault = "content-length must be a number of bytes";
        break;
      case "transfer-encoding":
        this.#encodings++;
        this.bodyLength = undefined;
        if (value.toLowerCase() !== "chunked") this.#fault = "transfer-encoding must be chunked";
        break;
    }
  }
}

/** The head whose fields are being read: one callback for all requests, since the loop over the fields is synchronous. */
let reading: RequestHead | undefined;

function collect(name: string, value: string): void {
  reading?.add(name, value);
}

/** The headers of a request by lower-case name, several lines of one joined, one byte a character. */
export function headersOf(request: HttpRequest): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  request.forEach((name, value) => {
    headers.set(name, joined(name, headers.get(name), bytesOf(value)));
  });
  return headers;
}

/** uWebSockets.js reads UTF-8 where HTTP has bytes; invalid UTF-8 is U+FFFD by then. */
function bytesOf(text: string): string {
  return wide.test(text) ? Buffer.from(text).toString("latin1") : text;
}

/** U+FFFD in UTF-8: the addon's replacement for bytes that are not UTF-8, which are lost. */
const replacement = "\xef\xbf\xbd";

function joined(name: string, before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}${name === "cookie" ? ";" : ","} ${value}`;
}

/** The frequent methods as literals, which are compared and looked up by their address. */
function known(method: string): string {
  switch (method) {
    case "GET":
      return "GET";
    case "POST":
      return "POST";
    case "PUT":
      return "PUT";
    case "PATCH":
      return "PATCH";
    case "DELETE":
      return "DELETE";
    default:
      return method;
  }
}

/** The one control character that the addon takes. */
const del = "\x7f";

const methods: ReadonlySet<string> = new Set(METHODS);
const visible = /^[\x21-\x7e]+$/;
const wide = /[\u0080-\uffff]/;
const digits = /^[0-9]{1,15}$/;
const closeOption = /(?:^|,)\s*close\s*(?:,|$)/i;
