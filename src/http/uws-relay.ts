import type { HttpResponse } from "uWebSockets.js";
import { type ClientRequest, type IncomingMessage, request as openRequest, STATUS_CODES } from "node:http";
import { connectionHeaders, connectionOptions } from "../config/own-header.js";
import { gatewayFailure } from "../status/failure.js";
import type { Passed, PassThrough } from "../upstream/pass-through.js";
import { type HeaderList, isHeaderValue } from "./exchange.js";

/** What of a request is passed on. */
export interface RelayedRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  /** Names and values in turn, as they came. */
  readonly fields: readonly string[];
  /** The client has asked for the connection to end with this reply; uWebSockets.js sees to that. */
  readonly closing: boolean;
  /** Nothing more may be read from the connection: we have to end it. */
  readonly last: boolean;
}

/** Bytes of a reply that is not streamed. */
const mostCollected = 16 << 20;

const lineEnd = Buffer.from("\r\n");

/**
 * A request that is streamed to the application behind the listener, over its private socket, and the reply that is
 * streamed back, each as fast as the other side takes it.
 */
export class UwsRelay {
  readonly #response: HttpResponse;
  readonly #request: RelayedRequest;
  readonly #replyHeaders: HeaderList;
  readonly #done: (status: number) => void;
  readonly #upstream: ClientRequest;
  /** Bytes of the reply body; undefined where it is chunked. */
  #length: number | undefined;
  readonly #passed: Passed;
  #status = 0;
  #over = false;
  /** The body waits for the application. */
  #paused = false;
  /** The last byte of the reply is given: the response may be dead. */
  #ending = false;

  /** @param done called once, with the status that was sent; 0 where none was and the connection must end */
  constructor(
    response: HttpResponse,
    request: RelayedRequest,
    application: PassThrough,
    passed: Passed,
    replyHeaders: HeaderList,
    done: (status: number) => void,
  ) {
    this.#response = response;
    this.#request = request;
    this.#passed = passed;
    this.#replyHeaders = replyHeaders;
    this.#done = done;
    const { method, target, fields } = request;
    const { options, headers, close } = application.privately(passed);
    this.#upstream = openRequest({ ...options, method, path: target, setHost: false });
    for (const [name, values] of grouped(fields)) this.#upstream.setHeader(name, values);
    // After those of the client, which could have the same names.
    for (const [name, value] of Object.entries(headers)) this.#upstream.setHeader(name, value);
    this.#upstream.on("response", reply => this.#begin(reply));
    this.#upstream.on("error", () => this.#fail());
    this.#upstream.on("close", close);
    this.#upstream.on("drain", () => this.#resume());
  }

  /** A part of the body; the last one may be empty. */
  send(chunk: Buffer, last: boolean): void {
    if (this.#over || this.#upstream.destroyed) return;
    if (chunk.length > 0 && !this.#upstream.write(chunk) && !last && !this.#paused && !this.#ending) {
      this.#paused = true;
      this.#response.pause();
    }
    if (!last) return;
    this.#resume();
    this.#upstream.end();
  }

  /** The peer has gone. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#passed.failed(gatewayFailure("CLIENT_CLOSED", "the client left before its request was answered"));
    this.#upstream.destroy();
    this.#done(this.#status);
  }

  #resume(): void {
    if (this.#over || !this.#paused) return;
    this.#paused = false;
    this.#response.resume();
  }

  #begin(reply: IncomingMessage): void {
    if (this.#over) {
      reply.destroy();
      return;
    }
    this.#status = reply.statusCode ?? 502;
    const bodyless = this.#request.method === "HEAD" || this.#status === 204 || this.#status === 304;
    const length = reply.headers["content-length"];
    this.#length = length === undefined ? undefined : Number(length);
    const head = this.#head(reply, bodyless);
    if (bodyless) {
      reply.resume();
      this.#resume();
      if (this.#request.last) {
        // Nothing ends a reply without body together with its connection, so that the last line end is ours.
        this.#cork(() => this.#response.writeStatus(Buffer.concat([head, lineEnd])));
        this.#end();
        this.#response.close();
      } else {
        // With arguments it would write a length of its own.
        this.#cork(() => this.#response.writeStatus(head).endWithoutBody());
        this.#end();
      }
      return;
    }
    if (this.#request.last) {
      this.#collect(reply, head);
    } else {
      this.#cork(() => this.#response.writeStatus(head));
      reply.on("data", (chunk: Buffer) => this.#pass(reply, chunk));
      reply.on("end", () => this.#finish());
    }
    reply.on("error", () => this.#fail());
    // Cut short: an end without "end".
    reply.on("close", () => this.#fail());
  }

  /** A reply that is streamed cannot end its connection, so that this one is sent whole. */
  #collect(reply: IncomingMessage, head: Buffer): void {
    const chunks: Buffer[] = [];
    let size = 0;
    reply.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > mostCollected) this.#fail();
      else chunks.push(chunk);
    });
    reply.on("end", () => {
      if (this.#over) return;
      this.#resume();
      this.#cork(() => this.#response.writeStatus(head).end(Buffer.concat(chunks, size), true));
      this.#end();
    });
  }

  #head(reply: IncomingMessage, bodyless: boolean): Buffer {
    const own = new Set(this.#replyHeaders.map(([name]) => name));
    const lines: string[] = [`${this.#status} ${STATUS_CODES[this.#status] ?? "unknown"}`];
    const { rawHeaders } = reply;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = (rawHeaders[index] ?? "").toLowerCase();
      const value = rawHeaders[index + 1] ?? "";
      const sized = name === "content-length" && !bodyless;
      if (!connectionHeaders.has(name) && name !== "date" && !sized && !own.has(name))
        lines.push(`${name}: ${value}`);
    }
    for (const [name, value] of this.#replyHeaders) if (isHeaderValue(value)) lines.push(`${name}: ${value}`);
    if (this.#request.closing || (bodyless && this.#request.last)) lines.push("connection: close");
    return Buffer.from(lines.join("\r\n"), "latin1");
  }

  #pass(reply: IncomingMessage, chunk: Buffer): void {
    if (this.#over) return;
    if (this.#length === undefined) {
      let taken = true;
      this.#cork(() => {
        taken = this.#response.write(chunk);
      });
      if (!taken) this.#await(reply, () => true);
      return;
    }
    const start = this.#response.getWriteOffset();
    const total = this.#length;
    // After its last byte the reply is dead, and what is left of the body stands before the next request.
    if (start + chunk.length >= total) {
      this.#resume();
      this.#ending = true;
    }
    let taken = true;
    this.#cork(() => {
      [taken] = this.#response.tryEnd(chunk, total);
    });
    if (taken) return;
    this.#await(reply, offset => this.#response.tryEnd(chunk.subarray(offset - start), total)[0]);
  }

  /** Reads the reply no further until the peer has taken what it was given. */
  #await(reply: IncomingMessage, retry: (offset: number) => boolean): void {
    reply.pause();
    this.#response.onWritable(offset => {
      if (this.#over) return true;
      const taken = retry(offset);
      if (taken) reply.resume();
      return taken;
    });
  }

  #finish(): void {
    if (this.#over) return;
    if (this.#length === undefined) {
      this.#resume();
      this.#cork(() => this.#response.end());
    } else if (this.#length === 0) {
      this.#resume();
      this.#cork(() => this.#response.tryEnd("", 0));
    }
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#done(this.#status);
  }

  #fail(): void {
    if (this.#over) return;
    this.#over = true;
    this.#passed.failed(gatewayFailure("UPSTREAM_PROTOCOL", "the reply was cut short"));
    this.#upstream.destroy();
    this.#response.close();
    this.#done(this.#status);
  }

  #cork(write: () => void): void {
    this.#response.cork(write);
  }
}

/** What of the fields is for this connection alone, by the client's word. */
function namedOptions(fields: readonly string[]): ReadonlySet<string> {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === "connection") lines.push(fields[index + 1] ?? "");
  }
  const named = connectionOptions(lines.join());
  // Both say where the body ends.
  named.delete("content-length");
  named.delete("host");
  return named;
}

/** Each name once, with all of its values. */
function grouped(fields: readonly string[]): Map<string, string[]> {
  const all = new Map<string, string[]>();
  const named = namedOptions(fields);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    const value = fields[index + 1] ?? "";
    if (connectionHeaders.has(name) || name === "date" || named.has(name)) continue;
    const values = all.get(name);
    if (values === undefined) all.set(name, [value]);
    else values.push(value);
  }
  return all;
}
