import type { Socket } from "node:net";
import type { SocketHandlers } from "../../h2/connection.js";
import { Code } from "../../status/code.js";
import { type Metadata, noMetadata } from "../channel.js";
import type { PooledConnection } from "../connection-pool.js";
import { failure, protocolFailure, type StreamOutcome } from "../transport.js";
import type { CallConnection, TrpcCall } from "./call.js";
import { frameHeadSize, maxHeaderSize, TrpcError, TrpcReader, type TrpcSink } from "./frame.js";
import { ResponseHeader } from "./response-header.js";
import { RequestSender } from "./sender.js";

/** Calls under way on one connection, before another is opened. */
const maxCalls = 1_000;
/** A connection without calls for one to two of these periods (milliseconds) is closed, before the server does so: after 60 s in tRPC-Go. */
const idlePeriodMs = 25_000;
/** Bytes of a frame that are passed over where its body is too large or it has an attachment; a larger frame ends the connection. */
const maxPassedOver = 64 * 1024 * 1024;

/** Of its timeout a call has to wait in silence before its connection is left. */
const timeoutShare = 0.9;

const protobuf = 0;
const identity = 0;
const gzip = 1;

export interface ConnectionSettings {
  readonly maxMessageSize: number;
  /** Milliseconds of silence after which the operating system probes the peer. */
  readonly keepaliveMs: number;
  /** Milliseconds of silence while calls wait, after which a call that ends without response takes the connection with it. */
  readonly maxSilenceMs: number;
}

export interface TrpcConnectionHost {
  onReady(): void;
  onRoom(): void;
  onDraining(connection: TrpcConnection): void;
  onClosed(connection: TrpcConnection, reason: string | undefined): void;
}

/**
 * Where a connection is in its life; it only ever moves forward.
 *
 *     Connecting ── the socket is open ──► Open ── drain(), silence, idle ──► Draining ── last call ends ──► Closed
 *         └──────────────────────────────────┴──── the socket ends, a bad frame, abort() ──┴────────────────────┘
 */
const Phase = { Connecting: 0, Open: 1, Draining: 2, Closed: 3 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

/** One connection to a tRPC server: calls go out as they come, and responses come back in any order. */
export class TrpcConnection implements PooledConnection<TrpcCall>, CallConnection, SocketHandlers, TrpcSink {
  readonly #settings: ConnectionSettings;
  readonly #host: TrpcConnectionHost;
  readonly #socket: Socket;
  readonly #sender: RequestSender;
  readonly #reader: TrpcReader;
  readonly #header = new ResponseHeader();
  #phase: Phase = Phase.Connecting;
  /** Calls that were adopted and are not over. */
  #active = 0;
  #adopted = false;
  #responded = false;
  /** The call whose body is being received. */
  #receiving: TrpcCall | undefined;
  #metadata: Metadata = noMetadata;
  /** Since when calls wait and nothing comes. */
  #silentSince: number | undefined;
  #used = true;
  #idleTimer: NodeJS.Timeout | undefined;

  /** `open` opens the socket. */
  constructor(
    open: (handlers: SocketHandlers) => Socket,
    settings: ConnectionSettings,
    host: TrpcConnectionHost,
  ) {
    this.#settings = settings;
    this.#host = host;
    this.#reader = new TrpcReader(
      this,
      frameHeadSize + maxHeaderSize + Math.max(settings.maxMessageSize, maxPassedOver),
    );
    this.#socket = open(this);
    this.#sender = new RequestSender(this.#socket, oneWay => this.#onSent(oneWay));
  }

  get room(): boolean {
    return this.#phase === Phase.Open && this.#active < maxCalls;
  }

  get responded(): boolean {
    return this.#responded || !this.#adopted;
  }

  adopt(call: TrpcCall): void {
    this.#adopted = this.#used = true;
    this.#active++;
    call.join(this);
    // Later, since the pool is looking for connections just now.
    if (this.#sender.exhausted) queueMicrotask(() => this.drain());
  }

  enlist(call: TrpcCall): void {
    if (this.#phase !== Phase.Closed) this.#sender.enlist(call);
  }

  wake(): void {
    this.#sender.wake();
  }

  forget(call: TrpcCall): void {
    if (call.id !== 0) this.#sender.delete(call.id);
    const maxSilenceMs = Math.min(
      this.#settings.maxSilenceMs,
      timeoutShare * (call.timeout ?? Number.POSITIVE_INFINITY),
    );
    const silent = this.#silentSince;
    // The peer may be gone without notice, or not read this connection any more, as tRPC-Go 1.0 after a panic; other
    // calls that wait may still get their responses.
    if (call.id !== 0 && silent !== undefined && performance.now() - silent >= maxSilenceMs)
      this.#stopTaking();
    this.#callEnded();
  }

  drain(): void {
    if (this.#phase >= Phase.Draining) return;
    this.#stopTaking();
    if (this.#active === 0) this.#close(undefined);
  }

  abort(reason: string): void {
    this.#close(reason);
    this.#socket.destroy();
  }

  onOpen(): void {
    if (this.#phase !== Phase.Connecting) return;
    this.#phase = Phase.Open;
    this.#socket.setKeepAlive(true, this.#settings.keepaliveMs);
    this.#idleTimer = setInterval(() => this.#checkIdle(), idlePeriodMs).unref();
    this.#host.onReady();
    this.#host.onRoom();
  }

  onRead(length: number, bytes: Buffer): void {
    if (this.#phase === Phase.Closed) return;
    this.#silentSince = undefined;
    try {
      this.#reader.read(bytes, 0, length);
    } catch (error) {
      if (!(error instanceof TrpcError)) throw error;
      this.#close(`the upstream broke tRPC: ${error.message}`, "protocol");
      this.#socket.destroy();
    }
  }

  onClose(error: Error | undefined): void {
    this.#close(error?.message ?? "the peer closed the connection");
  }

  onHeader(id: number, bytes: Buffer, from: number, to: number, size: number): number {
    const header = this.#header;
    const wellFormed = header.read(bytes, from, to);
    const call = this.#find(id);
    if (!wellFormed) return this.#refuse(call, protocolFailure("the header of a response is no message"));
    const { requestId, ret, funcRet, contentType, contentEncoding, attachmentSize } = header;
    // A server that cannot read a request does not know the id in its header.
    if (requestId !== id && (requestId !== 0 || ret === 0)) return this.#disagree(call, id, requestId);
    if (call === undefined) return -1;
    this.#responded = true;
    const body = size - attachmentSize;
    if (ret !== 0 || funcRet !== 0) {
      this.#finish(call);
      call.refuse(header, header.metadata(call.metadata));
      return -1;
    }
    const fault = faultOf(body, contentType, contentEncoding, this.#settings.maxMessageSize);
    if (fault !== undefined) return this.#refuse(call, fault);
    this.#receiving = call;
    this.#metadata = header.metadata(call.metadata);
    return body;
  }

  onBody(body: Buffer): void {
    const call = this.#receiving;
    const metadata = this.#metadata;
    this.#receiving = undefined;
    this.#metadata = noMetadata;
    if (call === undefined || call.closed) return;
    this.#finish(call);
    const { maxMessageSize } = this.#settings;
    call.respond(body, this.#header.contentEncoding === gzip, metadata, maxMessageSize);
  }

  onUnreadable(id: number, why: string): void {
    this.#refuse(this.#find(id), protocolFailure(`the response is ${why}`));
  }

  onOversized(id: number, total: number): void {
    this.#refuse(this.#find(id), tooLarge(total, this.#settings.maxMessageSize));
  }

  /** The call of a response; undefined where it is over already. @throws TrpcError where there never was one */
  #find(id: number): TrpcCall | undefined {
    if (this.#phase === Phase.Closed) return undefined;
    const call = this.#sender.find(id);
    if (call === undefined && !this.#sender.existed(id))
      throw new TrpcError(`a response with id ${id}, which no call has`);
    return call;
  }

  #refuse(call: TrpcCall | undefined, outcome: StreamOutcome): -1 {
    if (call === undefined) return -1;
    this.#finish(call);
    call.conclude(outcome);
    return -1;
  }

  /** The response cannot be assigned to a call: neither call gets it. */
  #disagree(call: TrpcCall | undefined, id: number, headerId: number): -1 {
    const outcome = protocolFailure(`a response has id ${id} in its frame and ${headerId} in its header`);
    this.#refuse(this.#sender.find(headerId), outcome);
    return this.#refuse(call, outcome);
  }

  /** The call is over as far as the connection goes. */
  #finish(call: TrpcCall): void {
    this.#sender.delete(call.id);
    call.leave();
    this.#callEnded();
  }

  #callEnded(): void {
    this.#active--;
    if (this.#phase === Phase.Closed) return;
    if (this.#phase === Phase.Draining && this.#active === 0) this.#close(undefined);
    else this.#host.onRoom();
  }

  #stopTaking(): void {
    if (this.#phase >= Phase.Draining) return;
    this.#phase = Phase.Draining;
    this.#host.onDraining(this);
  }

  #onSent(oneWay: readonly TrpcCall[]): void {
    if (this.#sender.awaited > 0) this.#silentSince ??= performance.now();
    for (const call of oneWay) {
      if (call.closed) continue;
      call.leave();
      call.written();
      this.#callEnded();
    }
  }

  #checkIdle(): void {
    if (this.#active === 0 && !this.#used) this.drain();
    this.#used = false;
  }

  /** The last event of the connection, and of the calls on it. Without a reason it is in order, and there are none. */
  #close(reason: string | undefined, cause: "lost" | "protocol" = "lost"): void {
    if (this.#phase === Phase.Closed) return;
    this.#phase = Phase.Closed;
    clearInterval(this.#idleTimer);
    this.#sender.close();
    const calls = this.#sender.takeAll();
    this.#host.onClosed(this, reason);
    const text = `Connection dropped: ${reason}`;
    const origin = cause === "protocol" ? "protocol" : "connect";
    for (const [call, sent] of calls)
      call.conclude(
        sent
          ? failure(Code.UNAVAILABLE, origin, text, "sent")
          : failure(Code.UNAVAILABLE, "connect", text, "unsent"),
      );
  }
}

/** The error in a response whose header declares success. `body`: bytes, negative where the attachment exceeds it. */
function faultOf(
  body: number,
  contentType: number,
  encoding: number,
  maxSize: number,
): StreamOutcome | undefined {
  if (body < 0) return protocolFailure("the attachment of a response is longer than its frame");
  if (contentType !== protobuf)
    return protocolFailure(`the response has content_type ${contentType}, expected ${protobuf} (protobuf)`);
  if (encoding !== identity && encoding !== gzip)
    return protocolFailure(
      `the response has content_encoding ${encoding}, expected ${identity} or ${gzip} (gzip)`,
    );
  return body > maxSize ? tooLarge(body, maxSize) : undefined;
}

function tooLarge(size: number, max: number): StreamOutcome {
  return failure(Code.RESOURCE_EXHAUSTED, "size", `Received message larger than max (${size} vs ${max})`);
}
