import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientCertificate } from "../../auth/caller.js";
import { Cancellation } from "../../net/cancellation.js";
import type { HeaderList } from "../../net/headers.js";
import { plainAddress } from "../../net/peer-address.js";
import { HeldBody } from "../held-body.js";
import {
  announcesBody,
  type BodyConsumer,
  type BodyReader,
  BodyTimeoutError,
  BodyTooLargeError,
  bodyCutShort,
  collectBody,
  emptyBody,
  type InboundRequest,
  noBody,
  type UpgradeRequest,
} from "../inbound-request.js";
import {
  announcedLength,
  type BodyWriter,
  discardingWriter,
  isHeaderValue,
  type ResponseWriter,
  withoutContent,
} from "../response-writer.js";
import { clientCertificate } from "./client-certificate.js";
import { lingerAfterLast } from "./lingering-close.js";
import { NodeBodyWriter } from "./node-body-writer.js";

/** An upgrade whose connection is read until there is a response. */
type WatchedUpgrade = UpgradeRequest & { stopWatching(): void };

export interface NodeExchangeOptions {
  /** Milliseconds that a client may leave a response unread. */
  readonly unreadTimeoutMs: number;
  /** Milliseconds that a body may take. */
  readonly bodyTimeoutMs: number;
  /** The client waits with the body for `100 Continue` (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean;
  readonly upgrade: WatchedUpgrade | undefined;
}

/** A request and its response over those of Node.js. */
export class NodeExchange implements InboundRequest, ResponseWriter {
  readonly version = 1;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly remoteAddress: string;
  readonly cancellation = new Cancellation();
  readonly upgrade: WatchedUpgrade | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #unreadTimeoutMs: number;
  readonly #bodyTimeoutMs: number;
  readonly #expectsContinue: boolean;
  #streaming = false;
  /** The body of the response has neither a length nor chunks: it ends with the connection. */
  #endsWithConnection = false;
  #abandoned = false;
  /** Ends the stream of the body. */
  #cutBody: ((error: Error) => void) | undefined;
  /** Why the rest of the body will not come. */
  #bodyError: Error | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
    { unreadTimeoutMs, bodyTimeoutMs, expectsContinue, upgrade }: NodeExchangeOptions,
  ) {
    const url = originForm(target);
    const mark = url.indexOf("?");
    this.method = request.method ?? "";
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
    this.remoteAddress = plainAddress(request.socket.remoteAddress ?? "");
    this.upgrade = upgrade;
    this.#request = request;
    this.#response = response;
    this.#unreadTimeoutMs = unreadTimeoutMs;
    this.#bodyTimeoutMs = bodyTimeoutMs;
    this.#expectsContinue = expectsContinue;
  }

  get encrypted(): boolean {
    return "encrypted" in this.#request.socket;
  }

  get hasBody(): boolean {
    const { headers } = this.#request;
    return announcesBody(headers["content-length"], headers["transfer-encoding"]);
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  headers(): Readonly<Record<string, string>> {
    const all: Record<string, string> = {};
    for (const [name, value] of Object.entries(this.#request.headers)) all[name] = String(value);
    return all;
  }

  certificate(): ClientCertificate | undefined {
    return clientCertificate(this.#request.socket);
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    return this.hasBody ? collectBody(this.#reader(limit, true)) : noBody;
  }

  stream(limit: number, slow?: "slow"): BodyReader {
    if (!this.hasBody) return emptyBody;
    const held = new HeldBody(this.#reader(limit, slow === undefined), maxAhead);
    this.#response.once("close", () => held.responded());
    return held;
  }

  /** @param timed it may take no longer than the time for a request */
  #reader(limit: number, timed: boolean): BodyReader {
    const request = this.#request;
    return {
      start: consumer => this.#readBody(limit, timed, consumer),
      pause: () => void request.pause(),
      resume: () => void request.resume(),
    };
  }

  #readBody(limit: number, timed: boolean, consumer: BodyConsumer): void {
    const request = this.#request;
    const announced = Number(request.headers["content-length"] ?? 0);
    // A request that was closed before emits no event.
    if (request.destroyed) this.#bodyError ??= bodyCutShort();
    const refused = announced > limit ? new BodyTooLargeError() : this.#bodyError;
    if (refused !== undefined) {
      consumer.fail(refused);
      return;
    }
    if (this.#expectsContinue && !this.#response.destroyed) this.#response.writeContinue();
    let left = limit;
    let over = false;
    const timer = timed ? setTimeout(() => fail(new BodyTimeoutError()), this.#bodyTimeoutMs) : undefined;
    const onData = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left >= 0) {
        consumer.chunk(chunk);
        return;
      }
      request.pause();
      fail(new BodyTooLargeError());
    };
    const fail = (error: Error): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      request.off("data", onData);
      consumer.fail(error);
    };
    this.#cutBody = fail;
    request.on("end", () => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      consumer.end();
    });
    request.on("error", fail);
    request.on("close", () => fail(bodyCutShort()));
    request.on("data", onData);
  }

  /** The rest of the body will not come: its reader gets the reason. */
  failBody(error: Error): void {
    if (this.#request.complete) return;
    this.#bodyError ??= error;
    this.#cutBody?.(error);
  }

  send(status: number, headers: HeaderList, body: string | Uint8Array): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    const bodyless = status === 204 || status === 304;
    const fields = fieldsOf(headers);
    const size = Buffer.byteLength(body);
    if (!bodyless) fields.push("content-length", String(size));
    this.#writeHead(status, fields);
    if (bodyless || this.method === "HEAD") response.end();
    else if (typeof body !== "string") response.end(body);
    // Text goes out in one piece with the head, which is Latin-1.
    else if (size === body.length) response.end(body, "latin1");
    else response.end(Buffer.from(body).toString("latin1"), "latin1");
    // Node.js replaces this timeout by its keep-alive timeout when the response is out.
    if (response.writableLength > 0 && response.socket !== null)
      response.socket.setTimeout(this.#unreadTimeoutMs);
  }

  open(status: number, headers: HeaderList): BodyWriter {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return discardingWriter;
    this.#streaming = true;
    this.#writeHead(status, fieldsOf(headers));
    response.on("timeout", () => this.#endUnread());
    if (response.socket !== null) this.watchClient();
    if (withoutContent(this.method, status)) {
      response.end();
      return discardingWriter;
    }
    const length = announcedLength(headers);
    this.#endsWithConnection = length === undefined && !response.chunkedEncoding;
    return new NodeBodyWriter(response, length, () => this.abandon());
  }

  abandon(): void {
    this.#abandoned = true;
    const { socket } = this.#response;
    // A body that ends with its connection must not look complete.
    if (this.#endsWithConnection && socket !== null && !this.encrypted) socket.resetAndDestroy();
    // Ends the connection only once the responses before are out, which some versions of Node.js forget: see `takeTurn`.
    this.#response.destroy();
  }

  #writeHead(status: number, fields: string[]): void {
    // A request whose body was not read to its end cannot share the connection with another one.
    const unread = this.hasBody && !this.#request.complete;
    if (unread) fields.push("connection", "close");
    this.upgrade?.stopWatching();
    this.#response.writeHead(status, fields);
    if (!unread) return;
    // Clients send their body before they look for the response.
    lingerAfterLast(this.#request.socket, this.#unreadTimeoutMs);
    this.#response.once("finish", () => this.#request.resume());
  }

  /** Bytes of the response that its client has not taken yet. */
  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  /** Forwards an event of the connection to the response. @returns whether there is a listener */
  notify(event: "drain" | "timeout"): boolean {
    return this.#response.emit(event);
  }

  /** The responses before are out: the connection is this response's, to be written or to be ended. */
  takeTurn(): void {
    if (this.#abandoned) this.#request.socket.destroy();
    else this.watchClient();
  }

  /** From now on the client is waited for, if anything is to be sent to it. */
  watchClient(): void {
    this.#request.socket.setTimeout(this.#streaming || this.unsentBytes > 0 ? this.#unreadTimeoutMs : 0);
  }

  /** Nothing has happened on the connection for as long as a client may leave a response unread. */
  #endUnread(): void {
    if (this.unsentBytes > 0) this.#response.destroy();
    else this.watchClient();
  }
}

/** Bytes of a body that are read while it is held: about what a client's kernel and ours buffer. */
const maxAhead = 16 * 1024 * 1024;

/** Names and values in turn; values that no header line can carry are left out. */
function fieldsOf(headers: HeaderList): string[] {
  const fields: string[] = [];
  for (const [name, value] of headers) if (isHeaderValue(value)) fields.push(name, value);
  return fields;
}

/** RFC 9112 §3.2.2: the host of a target in absolute form counts, and the Host header does not. */
export function takeHostOf(target: string, request: IncomingMessage): void {
  if (target.startsWith("/")) return;
  const [, authority] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? [];
  if (authority !== undefined) request.headers.host = authority;
}

/** RFC 9112 §3.2: servers accept the absolute form too; the asterisk form has no path. */
export function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = /^https?:\/\/[^/?#]*/i.exec(target);
  if (authority === null) return target;
  const rest = target.slice(authority[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
