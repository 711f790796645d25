import type { HttpResponse, us_socket_context_t } from "uWebSockets.js";
import { Cancellation } from "../../net/cancellation.js";
import type { HeaderList } from "../../net/headers.js";
import type { PeerAddresses } from "../../net/peer-address.js";
import {
  type BodyReader,
  BodyTimeoutError,
  bodyCutShort,
  collectBody,
  emptyBody,
  type InboundRequest,
  noBody,
} from "../inbound-request.js";
import {
  type BodyWriter,
  bytesOf,
  discardingWriter,
  type ResponseWriter,
  withoutContent,
} from "../response-writer.js";
import type { RequestHead } from "./request-head.js";
import { ResponseHeadWriter } from "./response-head.js";
import { UwsBody } from "./uws-body.js";
import { UwsBodyWriter } from "./uws-body-writer.js";
import { UwsUpgrade } from "./uws-upgrade.js";

/** The part of the engine that its exchanges use. */
export interface UwsListener {
  readonly encrypted: boolean;
  /** Milliseconds for the body to arrive. */
  readonly requestTimeout: number;
  readonly peers: PeerAddresses;
  /** Calls `act` within a cork that is not that of a connection of `act`. */
  cork(act: () => void): Promise<void>;
  /** The response of an exchange is out, its peer has gone, or the WebSocket that it became is over. */
  finished(): void;
}

/** `open` until a response is requested, `responding` until the socket has all of it, then `over`: uws's is invalid. */
type Stage = "open" | "responding" | "over";

/**
 * A request and its response over a uWebSockets.js response, which must not be touched after its end or after the peer
 * has gone.
 *
 * Chunked bodies are parsed leniently underneath (line ends unchecked, trailers read as the next request), so a
 * connection that carried one ends with its response: bytes after the body are never read as a request.
 */
export class UwsExchange implements InboundRequest, ResponseWriter {
  readonly version = 1;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly cancellation = new Cancellation();
  readonly upgrade: UwsUpgrade | undefined;
  readonly #response: HttpResponse;
  readonly #head: RequestHead;
  readonly #listener: UwsListener;
  #stage: Stage = "open";
  readonly #body: UwsBody | undefined;
  #writer: UwsBodyWriter | undefined;
  /** Ends the connection of a response that is out while the rest of the request is read. */
  #lingering: NodeJS.Timeout | undefined;

  /** @param context of a request that may become a WebSocket; undefined for any other */
  constructor(
    response: HttpResponse,
    head: RequestHead,
    listener: UwsListener,
    context?: us_socket_context_t,
  ) {
    this.method = head.method;
    this.path = head.path;
    this.query = head.query;
    this.#response = response;
    this.#head = head;
    this.#listener = listener;
    this.upgrade =
      context &&
      new UwsUpgrade(response, context, {
        header: name => head.header(name),
        underACork: act => listener.cork(act),
        take: () => this.#take(),
        closed: () => listener.finished(),
      });
    response.onAborted(() => this.#aborted());
    if (head.bodyLength !== 0) this.#body = new UwsBody(response, head.bodyLength);
  }

  get encrypted(): boolean {
    return this.#listener.encrypted;
  }

  get remoteAddress(): string {
    return this.#stage === "over" ? "" : this.#listener.peers.addressOf(this.#response);
  }

  get hasBody(): boolean {
    return this.#body !== undefined;
  }

  header(name: string): string | undefined {
    return this.#head.header(name);
  }

  headers(): Readonly<Record<string, string>> {
    return this.#head.headers();
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    const body = this.#body;
    if (body === undefined) return noBody;
    const timer = setTimeout(() => body.fail(new BodyTimeoutError()), this.#listener.requestTimeout);
    return collectBody(body.reader(limit), () => clearTimeout(timer));
  }

  stream(limit: number): BodyReader {
    return this.#body === undefined ? emptyBody : this.#body.reader(limit);
  }

  send(status: number, headers: HeaderList, body: string | Uint8Array): void {
    if (this.#stage !== "open") return;
    this.#stage = "responding";
    let close = this.#head.closing;
    heads.begin(status);
    for (const field of headers) {
      if (field[0] === "connection") close ||= field[1] === "close";
      else heads.field(field[0], field[1]);
    }
    const bodyless = status === 204 || status === 304;
    if (!bodyless && this.method === "HEAD") heads.field("content-length", String(Buffer.byteLength(body)));
    const sent = bodyless || this.method === "HEAD" ? undefined : body;
    const last =
      this.upgrade !== undefined ||
      (this.#body !== undefined && !(this.#body.complete && this.#head.bodyLength !== undefined));
    this.#writeHead(sent, last, close);
  }

  open(status: number, headers: HeaderList): BodyWriter {
    if (this.#stage !== "open") return discardingWriter;
    this.#stage = "responding";
    const bodyless = withoutContent(this.method, status);
    let close = false;
    let length: number | undefined;
    heads.begin(status);
    for (const [name, value] of headers) {
      if (name === "connection") close ||= value === "close";
      else if (name === "content-length" && !bodyless) length = Number(value);
      // uWebSockets.js writes its own.
      else if (name !== "date") heads.field(name, value);
    }
    // The rest of a sized body that has a reader does not block the next request.
    const last =
      this.upgrade !== undefined ||
      (this.#body !== undefined && (!this.#body.taken || this.#head.bodyLength === undefined));
    if (bodyless) {
      this.#body?.drop();
      this.#writeHead(undefined, last, close || this.#head.closing);
      return discardingWriter;
    }
    if (this.#head.closing) heads.field("connection", "close");
    const writer = new UwsBodyWriter(
      this.#response,
      heads.head,
      { length, last, close, clientCloses: this.#head.closing },
      {
        ended: () => this.#ended(),
        lastByte: () => this.#body?.drop(),
      },
    );
    this.#writer = writer;
    return writer;
  }

  abandon(): void {
    // Calls `onAborted`, which does the rest.
    if (this.#stage !== "over") this.#response.close();
  }

  /** The head that `heads` has, and a body in one piece. @param last nothing more may be read from the connection */
  #writeHead(body: string | Uint8Array | undefined, last: boolean, close: boolean): void {
    if (!last && !close) {
      this.#write(heads.head, body, false);
      return;
    }
    // uWebSockets.js adds the line only to a response in one write.
    if (body === undefined || (!last && body.length > largeBody)) heads.field("connection", "close");
    // A response without body cannot be ended together with its connection, so that the last line end is ours.
    if (body === undefined && last) heads.lineEnd();
    const { head } = heads;
    // Within the parser an ended connection still has the rest of its bytes parsed; while a response is due it has not.
    setImmediate(() => (last ? this.#writeLast(head, body) : this.#write(head, body, true)));
  }

  #write(head: string | Uint8Array, body: string | Uint8Array | undefined, close: boolean): void {
    if (this.#stage === "over") return;
    if (body !== undefined && (body.length > largeBody || (!close && ++responses % offers === 0))) {
      this.#offer(head, body);
      return;
    }
    ending = close;
    if (body !== undefined) this.#cork(writeWhole, head, body);
    else this.#cork(writeHead, head, "");
  }

  /** Nothing more is read from the connection. */
  #writeLast(head: string | Uint8Array, body: string | Uint8Array | undefined): void {
    if (this.#stage === "over") return;
    if (body !== undefined && body.length > 0 && this.#body?.complete === false) {
      this.#linger(head, bytesOf(body), this.#body);
      return;
    }
    ending = true;
    if (body !== undefined) {
      this.#cork(writeWhole, head, body);
    } else {
      this.#cork(writeStatus, head, "");
      this.#response.close();
    }
  }

  /**
   * A client that still sends would see a reset before it has read the response if its connection ended now: some of the
   * rest is read and dropped for a while. Until then uWebSockets.js waits for one byte more of the response, so that it
   * takes nothing that follows for a request.
   */
  #linger(head: string | Uint8Array, bytes: Uint8Array, rest: UwsBody): void {
    const response = this.#response;
    const announced = bytes.length + 1;
    let taken = false;
    response.cork(() => {
      response.writeStatus(head).writeHeader("connection", "close");
      // Announces the length that the client is to see, and sends the head.
      response.tryEnd("", bytes.length);
      taken = response.tryEnd(bytes, announced)[0];
    });
    if (!taken) response.onWritable(offset => response.tryEnd(bytes.subarray(offset), announced)[0]);
    const close = (): void => {
      if (this.#lingering === undefined) return;
      clearTimeout(this.#lingering);
      this.#lingering = undefined;
      response.close();
    };
    this.#lingering = setTimeout(close, lingerMs).unref();
    // Not from within a callback of the connection that this ends.
    rest.dropThen(() => setImmediate(close));
    this.#stage = "over";
    this.#listener.finished();
  }

  #cork(write: () => void, head: string | Uint8Array, body: string | Uint8Array): void {
    this.#stage = "over";
    this.#body?.abandon();
    writing = this.#response;
    writtenHead = head;
    writtenBody = body;
    this.#response.cork(write);
    this.#listener.finished();
  }

  /**
   * As much as the peer takes, then in parts as it takes more. Responses that are left unread would else be kept one
   * after the other; like this a connection that does not read ends at a further request.
   */
  #offer(head: string | Uint8Array, body: string | Uint8Array): void {
    const response = this.#response;
    writing = response;
    writtenHead = head;
    writtenBody = body;
    response.cork(writeOffer);
    if (offered) {
      this.#ended();
      return;
    }
    const bytes = bytesOf(body);
    response.onWritable(offset => {
      const [ok, done] = response.tryEnd(bytes.subarray(offset), bytes.length);
      if (done) this.#ended();
      return ok;
    });
  }

  #ended(): void {
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.#body?.abandon();
    this.#listener.finished();
  }

  /** The connection becomes a WebSocket. @returns false where its client has left */
  #take(): boolean {
    if (this.#stage !== "open") return false;
    this.#stage = "over";
    return true;
  }

  #aborted(): void {
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    if (this.#stage === "over") return;
    this.#stage = "over";
    this.#writer?.abort();
    this.#body?.fail(bodyCutShort());
    this.#body?.abandon();
    this.cancellation.cancel();
    this.#listener.finished();
  }
}

/** Milliseconds for which the rest of a request is read whose response is out. */
const lingerMs = 1000;

/** Above this a response waits for the peer instead of being copied into the buffer of the socket. */
const largeBody = 65_536;
/** One in so many small responses is offered: it costs more, and a client that does not read is soon found by a few. */
const offers = 16;
let responses = 0;

const heads = new ResponseHeadWriter();

// The response that the callbacks of `cork` write. It runs them at once, so that one callback of each kind serves all
// responses: no await between set and use.
let writing: HttpResponse;
let writtenHead: string | Uint8Array = "";
let writtenBody: string | Uint8Array = "";
let ending = false;
/** The response that was offered is out. */
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
