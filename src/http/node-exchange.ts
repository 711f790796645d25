import type { IncomingMessage, ServerResponse } from "node:http";
import type { ClientCertificate } from "../auth/caller.js";
import { plainAddress } from "../net/peer-address.js";
import { type Failure, GatewayError } from "../status/failure.js";
import { Cancellation } from "../upstream/channel.js";
import type { Passed, PassThrough } from "../upstream/pass-through.js";
import { bodyFailure } from "./arrival.js";
import { clientCertificate } from "./client-certificate.js";
import { BodyTooLargeError, type Exchange, type HeaderList, isHeaderValue, noBody } from "./exchange.js";

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
  /** The first bytes behind an upgrade. */
  readonly #upgradeHead: Buffer | undefined;
  #rejectBody: ((error: Error) => void) | undefined;
  #bodyError: Error | undefined;

  /** @param patience milliseconds that a client may leave a reply unread */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    target: string,
    patience: number,
    upgradeHead?: Buffer,
  ) {
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
    this.#upgradeHead = upgradeHead;
  }

  get encrypted(): boolean {
    return "encrypted" in this.#request.socket;
  }

  get upgrade(): boolean {
    return this.#upgradeHead !== undefined;
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
    if (announcesBody(this.#request) && !this.#request.complete) flat.push("connection", "close");
    response.writeHead(status, flat);
    if (bodyless || this.method === "HEAD") response.end();
    else response.end(body);
    // Node.js puts its keep-alive time in place of this one when the reply is out.
    if (response.writableLength > 0) this.#request.socket.setTimeout(this.#patience);
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
    return new Promise(resolve => {
      const head = this.#upgradeHead;
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
      if (head === undefined) application.handle(request, response, passed);
      else application.upgrade(request, { response, head, answered: resolve }, passed);
    });
  }

  abandon(): void {
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
  return (length !== undefined && length !== "0") || request.headers["transfer-encoding"] !== undefined;
}

/** RFC 9112 §3.2: servers accept the absolute form too; the asterisk form has no path. */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = /^https?:\/\/[^/?#]*/i.exec(target);
  if (authority === null) return target;
  const rest = target.slice(authority[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
