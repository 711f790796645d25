import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientCertificate } from "../../auth/caller.js";
import { Cancellation } from "../../net/cancellation.js";
import { plainAddress } from "../../net/peer-address.js";
import { type Failure, GatewayError } from "../../status/failure.js";
import type { Passed, PassThrough } from "../../upstream/pass-through.js";
import { BodyTooLargeError, type Exchange, type HeaderList, isHeaderValue, noBody } from "../exchange.js";
import { bodyFailure } from "../incoming-body.js";
import { lingerAfterLast } from "../lingering-close.js";
import { clientCertificate } from "./client-certificate.js";

/** An exchange over a request and response of Node.js. */
export class NodeExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly remoteAddress: string;
  readonly cancellation = new Cancellation();
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #patience: number;
  readonly #target: string;
  /** The response comes from a backend, in parts. */
  #passing = false;
  #rejectBody: ((error: Error) => void) | undefined;
  #bodyError: Error | undefined;
  #abandoned = false;

  /** @param patience milliseconds that a client may leave a reply unread */
  constructor(request: IncomingMessage, response: ServerResponse, target: string, patience: number) {
    const url = originForm(target);
    const mark = url.indexOf("?");
    this.method = request.method ?? "";
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
    this.remoteAddress = plainAddress(request.socket.remoteAddress ?? "");
    this.#request = request;
    this.#response = response;
    this.#patience = patience;
    this.#target = url;
  }

  get encrypted(): boolean {
    return "encrypted" in this.#request.socket;
  }

  get upgrade(): boolean {
    return false;
  }

  /** Bytes of the response that its client has not taken yet. */
  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  /** Tells the response what has happened on the connection. @returns whether anybody listens */
  notify(event: "drain" | "timeout"): boolean {
    return this.#response.emit(event);
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  certificate(): ClientCertificate | undefined {
    return clientCertificate(this.#request.socket);
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    const request = this.#request;
    if (!announcesBody(request)) return noBody;
    if (Number(request.headers["content-length"] ?? 0) > limit)
      return Promise.reject(new BodyTooLargeError());
    // What has ended before anybody asked says so no second time.
    if (request.destroyed) this.#bodyError ??= cutShort();
    if (this.#bodyError !== undefined) return Promise.reject(this.#bodyError);
    return new Promise((resolve, reject) => {
      let size = 0;
      const chunks: Buffer[] = [];
      this.#rejectBody = reject;
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > limit) {
          request.pause();
          request.removeAllListeners("data");
          reject(new BodyTooLargeError());
          return;
        }
        chunks.push(chunk);
      });
      request.on("end", () =>
        resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)),
      );
      request.on("error", reject);
      request.on("close", () => reject(cutShort()));
    });
  }

  /** The rest of the body will not come: whoever waits for it is told why. */
  failBody(error: Error): void {
    if (this.#request.complete) return;
    this.#bodyError ??= error;
    this.#rejectBody?.(error);
  }

  reply(status: number, headers: HeaderList, body: string | Uint8Array): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    const bodyless = status === 204 || status === 304;
    const flat: string[] = [];
    for (const [name, value] of headers) if (isHeaderValue(value)) flat.push(name, value);
    if (!bodyless) flat.push("content-length", String(Buffer.byteLength(body)));
    // A request whose body was not read to its end cannot share the connection with another one.
    const unread = announcesBody(this.#request) && !this.#request.complete;
    if (unread) flat.push("connection", "close");
    response.writeHead(status, flat);
    if (bodyless || this.method === "HEAD") response.end();
    else response.end(body);
    if (unread) this.#dropBody();
    // Node.js puts its keep-alive time in place of this one when the reply is out.
    if (response.writableLength > 0 && response.socket !== null) response.socket.setTimeout(this.#patience);
  }

  /** Clients send their body before they look for the response. */
  #dropBody(): void {
    lingerAfterLast(this.#request.socket, this.#patience);
    this.#response.once("finish", () => this.#request.resume());
  }

  /** The responses before are out: the connection is this response's, to be written or to be ended. */
  takeTurn(): void {
    if (this.#abandoned) this.#request.socket.destroy();
    else this.watchClient();
  }

  /** From now on the client is waited for, if anything is to be sent to it. */
  watchClient(): void {
    this.#request.socket.setTimeout(this.#passing || this.unsentBytes > 0 ? this.#patience : 0);
  }

  /** Nothing has happened on the connection for as long as a client may leave a response unread. */
  #endUnread(): void {
    if (this.unsentBytes > 0) this.#response.destroy();
    else this.watchClient();
  }

  passOn(application: PassThrough, passed: Passed, replyHeaders: HeaderList): Promise<number> {
    const request = this.#request;
    const response = this.#response;
    // The end of the connection or of the body has been told already, and is told once.
    if (request.socket.destroyed) this.#bodyError ??= cutShort();
    if (this.#bodyError !== undefined) return Promise.reject(new GatewayError(cutFailure(this.#bodyError)));
    request.url = this.#target;
    for (const [name, value] of replyHeaders) response.setHeader(name, value);
    this.#rejectBody = error => application.cut(request, cutFailure(error));
    this.#passing = true;
    response.on("timeout", () => this.#endUnread());
    if (response.socket !== null) this.watchClient();
    return new Promise(resolve => {
      const over = (): void => {
        if (!response.writableFinished) passed.failed(cutFailure(cutShort()));
        resolve(response.statusCode);
      };
      response.once("finish", over);
      response.once("close", over);
      // A reply that waits for others on its connection is not told of its end.
      this.cancellation.listen(() => {
        response.destroy();
        over();
      });
      this.handOver(application, passed, resolve);
    });
  }

  protected handOver(application: PassThrough, passed: Passed, _answered: (status: number) => void): void {
    application.handle(this.#request, this.#response, passed);
  }

  abandon(): void {
    this.#abandoned = true;
    // Ends the connection only once the responses before are out, which some versions of Node.js forget: see `takeTurn`.
    this.#response.destroy();
  }
}

function cutShort(): Error {
  return new Error("the request ended before its body was complete");
}

/** Why a body that is passed on ends before its end. */
function cutFailure(error: Error): Failure {
  return bodyFailure(error, "the client left before its request was answered");
}

/** RFC 9112 §6.3: without either header a request has no body. */
export function announcesBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return Number(length ?? 0) !== 0 || request.headers["transfer-encoding"] !== undefined;
}

/** RFC 9112 §3.2: servers accept the absolute form too; the asterisk form has no path. */
export function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = /^https?:\/\/[^/?#]*/i.exec(target);
  if (authority === null) return target;
  const rest = target.slice(authority[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
