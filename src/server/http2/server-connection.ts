import type { Socket } from "node:net";
import { Http2Connection, Phase, type SocketHandlers } from "../../h2/connection.js";
import type { WindowSizes } from "../../h2/flow-control.js";
import { HpackDecoder } from "../../h2/hpack-decoder.js";
import {
  ConnectionError,
  ErrorCode,
  initialTableSize,
  max31,
  maxFrameSize,
  protocolError,
} from "../../h2/protocol.js";
import { type Failure, gatewayFailure } from "../../status/failure.js";
import type { Reason } from "../../status/reasons.js";
import { defaultMaxResets, defaultMaxStreams, refusal, targetLimit } from "../engine.js";
import type { InboundRequest } from "../inbound-request.js";
import type { ResponseWriter } from "../response-writer.js";
import { HeaderBlock, type HeadLimits, type RequestField, requestFields } from "./header-block.js";
import { type ExchangeHost, Http2Exchange, type Http2Peer } from "./http2-exchange.js";
import { PastStreams } from "./past-streams.js";
import { ServerStream, type ServerStreamHost, streamWindow } from "./server-stream.js";

/** Beyond the header fields themselves and the target: 32 bytes for each of so many fields (RFC 9113 §6.5.2). */
const countedFields = 128;
/** From here on no streams are accepted: some of their ids are on their way. */
const lastUsableId = max31 - 2 ** 21;
/** Milliseconds for streams that are on their way when the connection begins to end. */
const drainDelayMs = 1_000;
const windows: WindowSizes = {
  stream: streamWindow,
  maxStream: 1024 * 1024,
  connection: 8 * 1024 * 1024,
};
/** Bytes of responses that wait for their client, beyond which no further request of its connection is handled. */
const maxUnsentBytes = 1 << 20;
const keepalive = { time: 60_000, timeout: 20_000 };
/** Milliseconds that a connection may be without streams, as Fastify's `keepAliveTimeout` for HTTP/1.1. */
const idleTimeoutMs = 72_000;
const pingPayload = Buffer.alloc(8);

export interface ServerConnectionOptions {
  /** Bytes of names and values of request headers. */
  readonly headerLimit: number;
  /** Milliseconds for a request to arrive. */
  readonly requestTimeout: number;
  /** Streams that a client may have open at once, and requests that are under way, those of streams that are gone among them. */
  readonly maxStreams?: number;
  /** See `EngineOptions.maxResets`. */
  readonly maxResets?: number;
  handle(request: InboundRequest, response: ResponseWriter): void;
  /** A request was refused before it could become an exchange. */
  refused(failure: Failure): void;
  /** The handling of a request went wrong. */
  crashed?(error: unknown): void;
}

/** The server's side of a connection: it accepts streams and hands them over as requests. */
export class ServerConnection
  extends Http2Connection<ServerStream>
  implements ServerStreamHost, ExchangeHost
{
  readonly client: Http2Peer;
  readonly #options: ServerConnectionOptions;
  readonly #maxStreams: number;
  readonly #limits: HeadLimits;
  readonly #decoder: HpackDecoder<RequestField>;
  #firstBlock = true;
  /** The last stream that was accepted or refused. */
  #lastId = 0;
  /** Streams above it are not looked at any more. */
  #lastAccepted = max31;
  #retiring = false;
  #drainTimer: NodeJS.Timeout | undefined;
  /** Streams whose head has come with the bytes that are being read. */
  #fresh: ServerStream[] = [];
  /** Those that wait until the client has taken more of its responses. */
  #waiting: ServerStream[] = [];
  /** Requests that are handled and have no response yet. */
  #underWay = 0;
  #unsent = 0;
  #held = 0;
  // Since when, in milliseconds; undefined where it is not so.
  #idleSince: number | undefined = performance.now();
  #waitingSince: number | undefined;
  #blockedSince: number | undefined;
  /** Of the sender, when it was last looked at. */
  #written = 0;
  readonly #past: PastStreams;

  constructor(socket: Socket, peer: Http2Peer, options: ServerConnectionOptions) {
    const { headerLimit, maxStreams = defaultMaxStreams, maxResets = defaultMaxResets } = options;
    const listLimit = headerLimit + targetLimit + 32 * countedFields;
    const maxBlockSize = 2 * listLimit;
    super(handlers => listen(socket, handlers), {
      role: "server",
      settings: {
        headerTableSize: initialTableSize,
        maxConcurrentStreams: maxStreams,
        initialWindowSize: windows.stream,
        maxFrameSize,
        maxHeaderListSize: listLimit,
      },
      windows,
      keepalive,
      firstId: 2,
      maxBlockSize,
    });
    this.client = peer;
    this.#options = options;
    this.#maxStreams = maxStreams;
    this.#past = new PastStreams(maxResets);
    this.#limits = { headerLimit, listLimit };
    this.#decoder = new HpackDecoder(requestFields, initialTableSize, maxBlockSize);
    this.onOpen();
  }

  get requestTimeout(): number {
    return this.#options.requestTimeout;
  }

  override onRead(length: number, bytes: Buffer): void {
    super.onRead(length, bytes);
    if (this.#fresh.length > 0) this.#handleFresh();
  }

  onHeaders(id: number, block: Buffer, from: number, to: number, end: boolean): void {
    const head = new HeaderBlock(this.#limits);
    // Blocks of streams that are gone count, too: they change the table.
    this.#decoder.decode(block, from, to, head);
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      stream.onTrailers(head, end);
    } else if ((id & 1) === 0) {
      throw protocolError(`stream ${id}, which a client cannot open`);
    } else if (id <= this.#lastId) {
      this.#lateHeaders(id);
    } else {
      this.#lastId = id;
      if (id <= this.#lastAccepted) this.#accept(id, head, end);
    }
  }

  onReset(id: number): void {
    const stream = this.find(id);
    if (stream === undefined) {
      this.flood.idle();
      return;
    }
    this.#past.takeReset();
    stream.onReset();
  }

  onGoAway(): void {
    this.flood.idle();
    this.startDraining();
    if (this.active === 0) this.close(undefined);
  }

  /** Takes no new streams from now on, but for those that are on their way (RFC 9113 §6.8). */
  retire(): void {
    if (this.#retiring || this.phase === Phase.Closed) return;
    this.#retiring = true;
    const { frames } = this.sender;
    frames.goAway(max31, ErrorCode.NoError, "");
    frames.ping(false, pingPayload, 0);
    this.#drainTimer = setTimeout(() => this.#stopAccepting(), drainDelayMs).unref();
  }

  /**
   * Ends resources that have waited for the client too long: a preface without SETTINGS, half a header block, a socket
   * or a stream that is not read, a connection without streams.
   */
  checkProgress(now: number): void {
    const limit = this.#options.requestTimeout;
    const { sender } = this;
    this.#waitingSince =
      this.phase === Phase.Connecting || this.inBlock ? (this.#waitingSince ?? now) : undefined;
    if (!sender.writing || sender.written !== this.#written) this.#blockedSince = undefined;
    else this.#blockedSince ??= now;
    this.#written = sender.written;
    this.#idleSince = this.active === 0 ? (this.#idleSince ?? now) : undefined;
    if (now - (this.#waitingSince ?? now) >= limit)
      this.abort("the client did not complete SETTINGS or a header block in time");
    else if (now - (this.#blockedSince ?? now) >= limit) this.abort("the client reads nothing");
    else if (now - (this.#idleSince ?? now) >= idleTimeoutMs) this.retire();
    else for (const stream of this.streams.all()) stream.checkProgress(now, limit);
  }

  takeFirstBlock(): boolean {
    const first = this.#firstBlock;
    this.#firstBlock = false;
    return first;
  }

  unsent(change: number): void {
    this.#unsent += change;
    if (this.#waiting.length === 0 || this.#unsent > maxUnsentBytes) return;
    this.#fresh = this.#waiting;
    this.#waiting = [];
    setImmediate(() => this.#handleFresh());
  }

  hold(change: number): void {
    this.#held += change;
    if (change < 0 && this.phase !== Phase.Closed) this.replenish();
  }

  protected override get held(): number {
    return this.#held;
  }

  responded(): void {
    this.#underWay--;
  }

  completed(): void {
    this.#past.giveReset();
  }

  override release(stream: ServerStream, code: ErrorCode | undefined): void {
    const resetByUs = code !== undefined && stream.body?.complete === false;
    this.#past.add(stream.id, resetByUs);
    super.release(stream, code);
  }

  protected existed(id: number): boolean {
    return (id & 1) === 1 && id <= this.#lastId;
  }

  protected receive(stream: ServerStream, bytes: Buffer, from: number, to: number, end: boolean): void {
    stream.onData(bytes, from, to, end);
  }

  protected onStray(id: number): void {
    if (id > this.#lastAccepted || this.#past.resetByUs(id)) return;
    this.flood.acknowledge();
    this.sender.frames.reset(id, ErrorCode.StreamClosed);
  }

  protected onPeerSettings(): void {}

  protected override onPingAck(): void {
    if (this.#retiring) this.#stopAccepting();
  }

  protected onStreamEnded(): void {}

  protected onDraining(): void {}

  protected onEnd(open: ServerStream[]): void {
    clearTimeout(this.#drainTimer);
    this.#waiting = [];
    for (const stream of open) stream.lost();
  }

  protected get lastPeerStream(): number {
    return Math.min(this.#lastId, this.#lastAccepted);
  }

  #stopAccepting(): void {
    if (this.#lastAccepted !== max31) return;
    this.#lastAccepted = this.#lastId;
    clearTimeout(this.#drainTimer);
    this.sender.frames.goAway(this.#lastId, ErrorCode.NoError, "");
    this.drain();
  }

  #accept(id: number, head: HeaderBlock, end: boolean): void {
    const fault = head.fault(end);
    if (fault !== undefined) {
      this.#past.takeReset();
      this.#refuse(id, ErrorCode.ProtocolError, end);
      this.#options.refused(gatewayFailure("MALFORMED_REQUEST", fault));
      return;
    }
    // Those that the client has given up count as long as they cost something.
    if (Math.max(this.active, this.#underWay) >= this.#maxStreams) {
      this.#past.takeReset();
      this.#refuse(id, ErrorCode.RefusedStream, end);
      return;
    }
    this.flood.useful();
    const stream = new ServerStream(this, id, head, this.peer.initialWindow, end);
    this.active++;
    this.streams.add(stream);
    this.#fresh.push(stream);
    if (id >= lastUsableId) this.retire();
  }

  #refuse(id: number, code: ErrorCode, end: boolean): void {
    this.#past.add(id, !end);
    this.sender.frames.reset(id, code);
  }

  /** HEADERS of a stream that is gone. */
  #lateHeaders(id: number): void {
    this.flood.idle();
    if (id > this.#lastAccepted || this.#past.resetByUs(id)) return;
    if (this.#past.ended(id))
      throw new ConnectionError(ErrorCode.StreamClosed, `HEADERS of stream ${id}, which has ended`);
    throw protocolError(`stream ${id} is opened after a higher one`);
  }

  /** Requests that were given up with the bytes that they came in are not begun. */
  #handleFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const stream of fresh) {
      if (stream.closed) continue;
      if (this.#unsent > maxUnsentBytes) this.#waiting.push(stream);
      else this.#handle(stream);
    }
  }

  #handle(stream: ServerStream): void {
    this.#underWay++;
    const refused = stream.head.refusal();
    if (refused === undefined) this.#begin(new Http2Exchange(stream, this));
    else this.#respondRefusal(stream, ...refused);
  }

  #begin(exchange: Http2Exchange): void {
    try {
      this.#options.handle(exchange, exchange);
    } catch (error) {
      exchange.abandon();
      this.#options.crashed?.(error);
    }
  }

  #respondRefusal(stream: ServerStream, reason: Reason, message: string): void {
    const { failure, body } = refusal(reason, message);
    this.#options.refused(failure);
    const bytes = Buffer.from(body);
    if (!stream.respond(failure.httpStatus, [["content-type", "application/json"]], bytes.length)) return;
    stream.push(bytes);
    stream.finish();
  }
}

/** The events of a socket that is open already, for a connection. */
function listen(socket: Socket, handlers: SocketHandlers): Socket {
  let failure: Error | undefined;
  socket.on("error", error => {
    failure ??= error;
  });
  socket.once("end", () => socket.destroySoon());
  socket.once("close", () => handlers.onClose(failure));
  socket.on("data", (chunk: Buffer) => handlers.onRead(chunk.length, chunk));
  return socket;
}
