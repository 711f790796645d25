import type { Socket } from "node:net";
import { FloodGuard } from "./flood-guard.js";
import { type WindowSizes, windowIncrement } from "./flow-control.js";
import { FrameReader, type FrameSink } from "./frame-reader.js";
import { Keepalive, type KeepaliveOptions } from "./keepalive.js";
import { ConnectionError, ErrorCode, initialWindow, max31, protocolError, type Role } from "./protocol.js";
import { Sender } from "./sender.js";
import { type LocalSettings, PeerSettings, settingsEntries } from "./settings.js";
import type { Http2Stream, StreamHost } from "./stream.js";
import { StreamTable } from "./stream-table.js";

/**
 * Where a connection is in its life; it only ever moves forward.
 *
 *     Connecting ── first SETTINGS of the peer ──► Open ── drain(), GOAWAY ──► Draining ── last stream ends ──► Closed
 *         │                                          │                            │                               ▲
 *         └──────────────────────────────────────────┴────────────────────────────┴── the socket ends, an error, ─┘
 *                                                                                     abort()
 *
 * Streams are opened in Open only. In Draining those that are open go on, and in Closed there are none.
 */
export const Phase = { Connecting: 0, Open: 1, Draining: 2, Closed: 3 } as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** Least bytes of a DATA frame that count as useful; smaller ones, with much padding, are typical of a flood. */
const usefulData = 8;
const pingPayload = Buffer.alloc(8);

/** Events of a socket. */
export interface SocketHandlers {
  /** The socket is open and, with TLS, the peer uses HTTP/2 by ALPN. */
  onOpen(): void;
  /** Bytes, to be used at once: the first `length` of `bytes`. */
  onRead(length: number, bytes: Buffer): void;
  /** The last event, exactly once. `error`: why, where it was not in order. */
  onClose(error: Error | undefined): void;
}

/** The options of one side of a connection. */
export interface ConnectionOptions {
  /** Ours. */
  readonly role: Role;
  readonly settings: LocalSettings;
  readonly windows: WindowSizes;
  readonly keepalive: KeepaliveOptions | undefined;
  /** Of the first stream that we open. */
  readonly firstId: number;
  /** Bytes of a header block that the peer may send; one that is larger ends the connection. */
  readonly maxBlockSize: number;
}

/** Why streams end with their connection: it was lost, or the peer broke HTTP/2. */
export type CloseCause = "lost" | "protocol";

/**
 * One HTTP/2 connection (RFC 9113), the part that is the same for both sides: settings, flow control, pings, floods, and
 * how it ends. Subclasses open or accept streams and read header blocks.
 *
 * Calls go down: socket → connection → streams, and connection → sender → streams and socket. Streams use their
 * connection through `StreamHost`.
 */
export abstract class Http2Connection<S extends Http2Stream>
  implements FrameSink, SocketHandlers, StreamHost
{
  /** Settings of the peer. */
  protected readonly peer: PeerSettings;
  protected readonly streams = new StreamTable<S>();
  protected readonly flood = new FloodGuard();
  protected readonly sender: Sender<S>;
  /** Streams that are open or wait to be opened. */
  protected active = 0;
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #phase: Phase = Phase.Connecting;
  #keepalive: Keepalive | undefined;
  /** Bytes that the peer may still send on all streams together. */
  #receiveWindow: number;
  #openedAt = 0;
  /** Milliseconds of a round trip, as seen once; 0: not yet. */
  #roundTrip = 0;

  /** `open` opens the socket. */
  protected constructor(open: (handlers: SocketHandlers) => Socket, options: ConnectionOptions) {
    const { role, settings, windows, firstId, maxBlockSize } = options;
    this.#options = options;
    this.peer = new PeerSettings(role === "client" ? "server" : "client");
    this.#reader = new FrameReader(this, settings.maxFrameSize, maxBlockSize);
    this.#receiveWindow = windows.connection;
    this.#socket = open(this);
    this.sender = new Sender(this.#socket, this.peer, this.flood, this.streams, firstId);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** There may have been a stream of that id. */
  protected abstract existed(id: number): boolean;
  /** The peer's settings came, for the first time or again. */
  protected abstract onPeerSettings(first: boolean): void;
  /** The peer has acknowledged a ping. */
  protected onPingAck(): void {}
  /** A stream has ended, and the connection goes on. */
  protected abstract onStreamEnded(): void;
  /** The connection takes no new streams. */
  protected abstract onDraining(): void;
  /** The connection has ended, and with it these streams. Without a reason it was in order, and there are none. */
  protected abstract onEnd(open: S[], unopened: S[], reason: string | undefined, cause: CloseCause): void;
  /** Bytes that streams have received and that stop the connection, since they are too many to be kept. */
  protected get held(): number {
    return 0;
  }
  /** DATA of a stream that is gone. */
  protected abstract onStray(id: number): void;
  /** The last stream of the peer that is processed; 0: none. */
  protected abstract get lastPeerStream(): number;

  abstract onHeaders(id: number, block: Buffer, from: number, to: number, end: boolean): void;
  abstract onReset(id: number, code: number): void;
  abstract onGoAway(lastStream: number, code: number, debug: string): void;
  /** Bytes of DATA came for a stream that is there and within its window. */
  protected abstract receive(stream: S, bytes: Buffer, from: number, to: number, end: boolean): void;

  enlist(stream: S): void {
    this.sender.enlist(stream);
  }

  release(stream: S, code: ErrorCode | undefined): void {
    if (stream.id !== 0) {
      this.streams.delete(stream.id);
      if (code !== undefined) this.sender.frames.reset(stream.id, code);
    }
    this.active--;
    if (this.#phase === Phase.Closed) return;
    if (this.#phase === Phase.Draining && this.active === 0) this.close(undefined);
    else this.onStreamEnded();
  }

  grant(stream: S): void {
    const increment = windowIncrement(stream, this.#roundTrip, this.#options.windows.maxStream);
    if (increment > 0) this.sender.frames.windowUpdate(stream.id, increment);
  }

  /** Takes no new streams and closes once those under way have ended. */
  drain(): void {
    if (this.#phase >= Phase.Draining) return;
    this.startDraining();
    if (this.active === 0) this.close(undefined);
  }

  /** Gives the connection up. */
  abort(reason: string): void {
    this.close(reason);
    this.#socket.destroy();
  }

  onOpen(): void {
    const { role, settings, windows } = this.#options;
    const { frames } = this.sender;
    this.#openedAt = performance.now();
    if (role === "client") frames.preface();
    frames.settings(settingsEntries(settings));
    frames.windowUpdate(0, windows.connection - initialWindow);
  }

  onRead(length: number, bytes: Buffer): void {
    if (this.#phase === Phase.Closed) return;
    this.#keepalive?.received();
    try {
      this.#reader.read(bytes, length);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.sender.frames.goAway(this.lastPeerStream, error.code, error.message);
      this.close(error.message, "protocol");
    }
  }

  onClose(error: Error | undefined): void {
    this.close(error?.message ?? "the peer closed the connection");
  }

  onData(id: number, bytes: Buffer, from: number, to: number, consumed: number, end: boolean): void {
    this.#receiveWindow -= consumed;
    if (this.#receiveWindow < 0)
      throw new ConnectionError(ErrorCode.FlowControlError, "more DATA than the connection's window allows");
    this.replenish();
    const stream = this.find(id);
    if (from === to && !end) this.flood.idle(consumed);
    else if (end || to - from >= usefulData) this.flood.useful();
    if (stream === undefined) {
      this.onStray(id);
      return;
    }
    stream.receiveWindow -= consumed;
    if (stream.receiveWindow < 0) {
      stream.break("more DATA than the stream's window allows", ErrorCode.FlowControlError);
      return;
    }
    this.receive(stream, bytes, from, to, end);
    if (!stream.closed && stream.receiveWindow < stream.windowTarget / 2) this.grant(stream);
  }

  onSettings(bytes: Buffer, from: number, to: number): void {
    this.flood.acknowledge();
    const { initialWindow: before } = this.peer;
    this.peer.apply(bytes, from, to);
    const change = this.peer.initialWindow - before;
    if (change !== 0) this.#widenAll(change);
    this.sender.frames.settingsAck();
    const first = this.#phase === Phase.Connecting;
    if (first) {
      this.#phase = Phase.Open;
      this.#startKeepalive();
    }
    this.onPeerSettings(first);
  }

  onSettingsAck(): void {
    this.flood.idle();
    if (this.#roundTrip === 0) this.#roundTrip = performance.now() - this.#openedAt;
  }

  onPing(ack: boolean, bytes: Buffer, from: number): void {
    if (ack) {
      this.flood.idle();
      this.onPingAck();
    } else {
      this.flood.acknowledge();
      // Some servers send a ping with each response: a write for that alone would cost as much as one for a call.
      this.sender.delayedFrames.ping(true, bytes, from);
    }
  }

  onWindowUpdate(id: number, increment: number): void {
    // Paid for by the DATA that is sent.
    this.flood.idle();
    if (id !== 0) {
      const stream = this.find(id);
      if (stream === undefined) return;
      if (increment === 0) stream.break("WINDOW_UPDATE with an increment of 0", ErrorCode.ProtocolError);
      else if (!this.#widen(stream, increment))
        stream.break("the stream's window grows too large", ErrorCode.FlowControlError);
      return;
    }
    if (increment === 0) throw protocolError("WINDOW_UPDATE with an increment of 0");
    if (!this.sender.widen(increment, max31))
      throw new ConnectionError(ErrorCode.FlowControlError, "the connection's window grows too large");
  }

  onIgnored(bytes: number): void {
    this.flood.idle(bytes);
  }

  /**
   * The stream of a frame; undefined where it has ended.
   * @throws ConnectionError where there never was one (RFC 9113 §5.1)
   */
  protected find(id: number): S | undefined {
    const stream = this.streams.get(id);
    if (stream === undefined && !this.existed(id))
      throw protocolError(`a frame of stream ${id}, which was never opened`);
    return stream;
  }

  /**
   * Lets the peer send more on the connection. What a stream has not taken counts in its own window: one that is not read
   * must not stop the others, but for what is `held`.
   */
  protected replenish(): void {
    const { connection } = this.#options.windows;
    const increment = connection - this.held - this.#receiveWindow;
    if (increment <= connection / 2) return;
    this.sender.frames.windowUpdate(0, increment);
    this.#receiveWindow += increment;
  }

  /** A header block has begun to come and is not complete. */
  protected get inBlock(): boolean {
    return this.#reader.inBlock;
  }

  /** Takes no new streams from now on; does not close, even where none is open. */
  protected startDraining(): void {
    if (this.#phase < Phase.Draining) this.#phase = Phase.Draining;
    this.onDraining();
  }

  /** Closes; without a reason, in order. Streams that are still there end with it. */
  protected close(reason: string | undefined, cause: CloseCause = "lost"): void {
    if (this.#phase === Phase.Closed) return;
    this.#phase = Phase.Closed;
    this.#keepalive?.stop();
    if (reason === undefined) this.sender.frames.goAway(this.lastPeerStream, ErrorCode.NoError, "");
    this.sender.close();
    const open = this.streams.all();
    const { unopened } = this.sender;
    this.streams.clear();
    this.onEnd(open, unopened, reason, cause);
  }

  #startKeepalive(): void {
    const { keepalive } = this.#options;
    if (keepalive === undefined) return;
    const ping = () => this.sender.frames.ping(false, pingPayload, 0);
    const onDead = () => this.abort(`no acknowledgement of a ping within ${keepalive.timeout} ms`);
    this.#keepalive = new Keepalive(keepalive, ping, onDead);
  }

  /** Returns false where the window would become larger than HTTP/2 allows (§6.9.1). */
  #widen(stream: S, change: number): boolean {
    stream.sendWindow += change;
    if (stream.sendWindow > max31) return false;
    this.sender.enlist(stream);
    return true;
  }

  /** §6.9.2; a window may become negative. */
  #widenAll(change: number): void {
    // Costs something for each stream.
    this.flood.idle(16 * this.streams.size);
    for (const stream of this.streams.all()) {
      if (!this.#widen(stream, change))
        throw new ConnectionError(ErrorCode.FlowControlError, "SETTINGS that make a window too large");
    }
  }
}
