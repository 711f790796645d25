import type { HttpResponse } from "uWebSockets.js";
import { Cancellation } from "../../net/cancellation.js";
import type { PeerAddresses } from "../../net/peer-address.js";
import type { Passed, PassThrough } from "../../upstream/pass-through.js";
import { type Exchange, type HeaderList, noBody } from "../exchange.js";
import { IncomingBody } from "../incoming-body.js";
import type { RequestHead } from "./uws-head.js";
import { UwsRelay } from "./uws-relay.js";
import { ReplyHeadWriter } from "./uws-reply-head.js";

/** What exchanges ask of the engine that made them. */
export interface UwsListener {
  readonly encrypted: boolean;
  /** Milliseconds for the body to arrive. */
  readonly requestTimeout: number;
  readonly peers: PeerAddresses;
  /** The reply of an exchange is out, or its peer has gone. */
  finished(): void;
}

/** `open` until a reply is asked for, `replying` until the socket has all of it, then `over`: the response is dead. */
type Stage = "open" | "replying" | "over";

/**
 * An exchange on a uWebSockets.js response, which must not be touched after its reply or after the peer has gone.
 *
 * Chunked bodies are parsed leniently underneath (line ends unchecked, trailers read as the next request), so a
 * connection that carried one ends with its reply: what follows the body is never read as a request.
 */
export class UwsExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly cancellation = new Cancellation();
  readonly upgrade = false;
  readonly #response: HttpResponse;
  readonly #head: RequestHead;
  readonly #listener: UwsListener;
  #stage: Stage = "open";
  readonly #body: IncomingBody | undefined;
  #paused = false;

  constructor(response: HttpResponse, head: RequestHead, listener: UwsListener) {
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.#response = response;
    this.#head = head;
    this.#listener = listener;
    response.onAborted(() => this.#aborted());
    if (head.bodyLength !== 0) this.#body = this.#receive(head.bodyLength);
  }

  get encrypted(): boolean {
    return this.#listener.encrypted;
  }

  get remoteAddress(): string {
    return this.#stage === "over" ? "" : this.#listener.peers.addressOf(this.#response);
  }

  header(name: string): string | undefined {
    return this.#head.header(name);
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    const body = this.#body;
    if (body === undefined) return noBody;
    if (this.#paused && this.#stage === "open") this.#response.resume();
    this.#paused = false;
    return body.take(limit, this.#listener.requestTimeout);
  }

  reply(status: number, headers: HeaderList, body: string | Uint8Array): void {
    if (this.#stage !== "open") return;
    this.#stage = "replying";
    let close = this.#head.closing;
    heads.begin(status);
    for (const field of headers) {
      if (field[0] === "connection") close ||= field[1] === "close";
      else heads.field(field[0], field[1]);
    }
    const bodyless = status === 204 || status === 304;
    if (!bodyless && this.method === "HEAD") heads.field("content-length", String(Buffer.byteLength(body)));
    const sent = bodyless || this.method === "HEAD" ? undefined : body;
    const last = this.#body !== undefined && !(this.#body.complete && this.#head.bodyLength !== undefined);
    if (!last && !close) {
      this.#send(heads.head, sent, false);
      return;
    }
    // The end of a reply in one piece says so itself.
    if (sent === undefined || (!last && sent.length > largeBody)) heads.field("connection", "close");
    // A reply without body cannot be ended together with its connection, so that the last line end is ours.
    if (sent === undefined && last) heads.lineEnd();
    const { head } = heads;
    // Within the parser an ended connection still has the rest of its bytes parsed; while a reply is due it has not.
    setImmediate(() => (last ? this.#sendLast(head, sent) : this.#send(head, sent, true)));
  }

  passOn(application: PassThrough, passed: Passed, replyHeaders: HeaderList): Promise<number> {
    if (this.#stage !== "open") return Promise.resolve(0);
    this.#stage = "replying";
    return new Promise(resolve => {
      const body = this.#body;
      const request = {
        method: this.method,
        target: this.query === "" ? this.path : `${this.path}?${this.query}`,
        fields: this.#head.fields,
        closing: this.#head.closing,
        last: this.#head.bodyLength === undefined,
      };
      const relay = new UwsRelay(this.#response, request, application, passed, replyHeaders, status => {
        if (this.#stage !== "over") {
          this.#stage = "over";
          this.#listener.finished();
        }
        resolve(status);
      });
      this.cancellation.listen(() => relay.abort());
      if (this.#paused) this.#response.resume();
      this.#paused = false;
      if (body === undefined) relay.send(noBytes, true);
      else body.stream((chunk, last) => relay.send(chunk, last));
    });
  }

  abandon(): void {
    // Tells `onAborted`, which does the rest.
    if (this.#stage !== "over") this.#response.close();
  }

  #send(head: string | Uint8Array, body: string | Uint8Array | undefined, close: boolean): void {
    if (this.#stage === "over") return;
    if (body !== undefined && (body.length > largeBody || (!close && ++replies % offers === 0))) {
      this.#offer(head, body);
      return;
    }
    ending = close;
    if (body !== undefined) this.#cork(writeWhole, head, body);
    else this.#cork(writeHead, head, "");
  }

  /** Nothing more is read from the connection. */
  #sendLast(head: string | Uint8Array, body: string | Uint8Array | undefined): void {
    if (this.#stage === "over") return;
    ending = true;
    if (body !== undefined) {
      this.#cork(writeWhole, head, body);
    } else {
      this.#cork(writeStatus, head, "");
      this.#response.close();
    }
  }

  #cork(write: () => void, head: string | Uint8Array, body: string | Uint8Array): void {
    this.#stage = "over";
    writing = this.#response;
    writtenHead = head;
    writtenBody = body;
    this.#response.cork(write);
    this.#listener.finished();
  }

  /**
   * As much as the peer takes, then in parts as it takes more. Replies that are left unread would else be kept one
   * after the other; like this a connection that does not read ends at a further request.
   */
  #offer(head: string | Uint8Array, body: string | Uint8Array): void {
    const response = this.#response;
    writing = response;
    writtenHead = head;
    writtenBody = body;
    response.cork(writeOffer);
    if (offered) {
      this.#sent();
      return;
    }
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    response.onWritable(offset => {
      const [ok, done] = response.tryEnd(bytes.subarray(offset), bytes.length);
      if (done) this.#sent();
      return ok;
    });
  }

  #sent(): void {
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.#listener.finished();
  }

  #receive(length: number | undefined): IncomingBody {
    const body = new IncomingBody(length);
    this.#response.onData((chunk, last) => {
      body.add(chunk, last);
      // Nobody has asked for the body yet: no more of it than has already been read from the socket.
      if (body.taken || last || this.#paused || this.#stage !== "open") return;
      this.#paused = true;
      this.#response.pause();
    });
    return body;
  }

  #aborted(): void {
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.#body?.fail(new Error("the request ended before its body was complete"));
    this.cancellation.cancel();
    this.#listener.finished();
  }
}

const noBytes = Buffer.alloc(0);

/** Above this a reply waits for the peer instead of being copied into the buffer of the socket. */
const largeBody = 65_536;
/** One in so many small replies is offered: it costs more, and who does not read is soon found by a few. */
const offers = 16;
let replies = 0;

const heads = new ReplyHeadWriter();

// What the callbacks of `cork` write: it runs them at once, so that one of each serves all replies.
let writing: HttpResponse;
let writtenHead: string | Uint8Array = "";
let writtenBody: string | Uint8Array = "";
let ending = false;
/** The reply that was offered is out. */
let offered = false;

function writeWhole(): void {
  writing.writeStatus(writtenHead).end(writtenBody, ending);
}

function writeOffer(): void {
  const size = typeof writtenBody === "string" ? Buffer.byteLength(writtenBody) : writtenBody.length;
  offered = writing.writeStatus(writtenHead).tryEnd(writtenBody, size)[1];
}

function writeHead(): void {
  writing.writeStatus(writtenHead).endWithoutBody();
}

function writeStatus(): void {
  writing.writeStatus(writtenHead);
}
