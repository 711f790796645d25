import type { HttpResponse } from "uWebSockets.js";
import { type ClientRequest, type IncomingMessage, request as openRequest, STATUS_CODES } from "node:http";
import { connectionHeaders } from "../../config/own-header.js";
import { statusDialect } from "../../dialects/status.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Passed, PassThrough } from "../../upstream/pass-through.js";
import { type HeaderList, isHeaderValue } from "../exchange.js";
import { relayedHeaders } from "./uws-relay-headers.js";
import { ReplyHeadWriter } from "./uws-reply-head.js";

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

/** Bytes of a response that is sent in one piece where its connection must end with it. */
const maxCollected = 65_536;
/** Milliseconds to wait for the end of such a response. */
const maxCollecting = 25;

const unwritable = gatewayFailure(
  "MALFORMED_REQUEST",
  "the request has a target or a header that cannot be passed on",
);

const lineEnd = Buffer.from("\r\n");
const closeLine = Buffer.from("\r\nconnection: close");

const heads = new ReplyHeadWriter();

/**
 * A request that is streamed to the application behind the listener, over its private socket, and the reply that is
 * streamed back, each as fast as the other side takes it.
 */
export class UwsRelay {
  readonly #response: HttpResponse;
  readonly #request: RelayedRequest;
  readonly #replyHeaders: HeaderList;
  readonly #done: (status: number) => void;
  /** Undefined where the request cannot be written. */
  readonly #upstream: ClientRequest | undefined;
  /** Bytes of the reply body; undefined where it is chunked. */
  #length: number | undefined;
  readonly #passed: Passed;
  #status = 0;
  /** The head of the reply is out, so that no other one can take its place. */
  #begun = false;
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
    const { options, headers: own, close } = application.privately(passed);
    try {
      // The gateway's after those of the client, which could have the same names.
      const headers = { ...relayedHeaders(fields), ...own };
      // Checks everything before it takes a connection.
      this.#upstream = openRequest({ ...options, method, path: target, setHost: false, headers });
    } catch (error) {
      close();
      const failure = error instanceof GatewayError ? error.failure : unwritable;
      setImmediate(() => this.#fail(failure));
      return;
    }
    let answered = false;
    this.#upstream.on("response", reply => {
      answered = true;
      this.#begin(reply);
    });
    this.#upstream.on("error", () => this.#fail());
    this.#upstream.on("close", () => {
      close();
      if (!answered) this.#fail();
    });
    this.#upstream.on("drain", () => this.#resume());
  }

  /** A part of the body; the last one may be empty. */
  send(chunk: Buffer, last: boolean): void {
    const upstream = this.#upstream;
    if (this.#over || upstream === undefined || upstream.destroyed) return;
    if (chunk.length > 0 && !upstream.write(chunk) && !last && !this.#paused && !this.#ending) {
      this.#paused = true;
      this.#response.pause();
    }
    if (!last) return;
    this.#resume();
    upstream.end();
  }

  /** The peer has gone. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#passed.failed(gatewayFailure("CLIENT_CLOSED", "the client left before its request was answered"));
    this.#upstream?.destroy();
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
      this.#begun = true;
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
    reply.on("error", () => this.#fail());
    reply.on("close", () => {
      // Cut short: an end without "end".
      if (!reply.readableEnded) this.#fail();
    });
    if (this.#request.last && (this.#length ?? 0) <= maxCollected) this.#collect(reply, head);
    else this.#stream(reply, head, []);
  }

  /** Only a response in one piece ends together with its connection, so that a short one is sent like that. */
  #collect(reply: IncomingMessage, head: Buffer): void {
    const chunks: Buffer[] = [];
    let size = 0;
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxCollected) stream();
    };
    const finish = (): void => {
      clearTimeout(timer);
      if (this.#over) return;
      this.#resume();
      this.#begun = true;
      this.#cork(() => this.#response.writeStatus(head).end(Buffer.concat(chunks, size), true));
      this.#end();
    };
    const stream = (): void => {
      clearTimeout(timer);
      if (this.#over) return;
      reply.off("data", collect);
      reply.off("end", finish);
      this.#stream(reply, head, chunks);
    };
    const timer = setTimeout(stream, maxCollecting);
    reply.once("close", () => clearTimeout(timer));
    reply.on("data", collect);
    reply.on("end", finish);
  }

  #stream(reply: IncomingMessage, head: Buffer, first: readonly Buffer[]): void {
    this.#begun = true;
    const { last, closing } = this.#request;
    const ends = last && !closing ? Buffer.concat([head, closeLine]) : head;
    this.#cork(() => {
      this.#response.writeStatus(ends);
      if (this.#overshoot > 0) this.#response.tryEnd("", this.#length ?? 0);
    });
    for (const chunk of first) this.#pass(reply, chunk);
    reply.on("data", (chunk: Buffer) => this.#pass(reply, chunk));
    reply.on("end", () => this.#finish());
  }

  /**
   * What is added to the announced length of a response whose connection must end with it: its last byte would else
   * end the response, and with it the hold on the connection.
   */
  get #overshoot(): number {
    return this.#request.last && (this.#length ?? 0) > 0 ? 1 : 0;
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
    const total = this.#length + this.#overshoot;
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
    if (this.#overshoot > 0) {
      this.#closeWhenDrained();
      return;
    }
    this.#resume();
    if (this.#length === undefined) {
      // Nothing ends these chunks together with their connection. Unread, it serves no further request, and the addon
      // closes it within seconds.
      if (this.#request.last) this.#response.pause();
      this.#cork(() => this.#response.end());
    } else if (this.#length === 0) {
      this.#cork(() => this.#response.tryEnd("", 0));
    }
    this.#end();
  }

  #closeWhenDrained(): void {
    const total = (this.#length ?? 0) + this.#overshoot;
    const drained = (): boolean => this.#response.tryEnd("", total)[0];
    const close = (): void => {
      if (this.#over) return;
      this.#end();
      this.#response.close();
    };
    let taken = false;
    this.#cork(() => {
      taken = drained();
    });
    if (taken) {
      close();
      return;
    }
    this.#response.onWritable(() => {
      if (this.#over || !drained()) return this.#over;
      // Not from within a callback of the connection that this ends.
      setImmediate(close);
      return true;
    });
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#done(this.#status);
  }

  #fail(failure: Failure = gatewayFailure("UPSTREAM_PROTOCOL", "the reply was cut short")): void {
    if (this.#over) return;
    this.#over = true;
    this.#passed.failed(failure);
    this.#upstream?.destroy();
    if (this.#begun) this.#response.close();
    else this.#answer(failure);
    this.#done(this.#status);
  }

  /** In place of a reply that does not come. What is left of the body is not waited for. */
  #answer(failure: Failure): void {
    const context = { requestId: "", path: this.#request.target.split("?", 1)[0] ?? "" };
    const { status, contentType, body } = statusDialect.renderFailure(failure, [], context);
    this.#status = status;
    heads.begin(status);
    heads.field("content-type", contentType);
    for (const [name, value] of this.#replyHeaders) heads.field(name, value);
    if (this.#request.method !== "HEAD") {
      this.#cork(() => this.#response.writeStatus(heads.head).end(body, true));
      return;
    }
    heads.field("connection", "close");
    heads.lineEnd();
    this.#cork(() => this.#response.writeStatus(heads.head));
    this.#response.close();
  }

  #cork(write: () => void): void {
    this.#response.cork(write);
  }
}
