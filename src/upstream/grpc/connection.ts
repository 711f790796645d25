import type { Socket } from "node:net";
import { FloodGuard } from "../../h2/flood-guard.js";
import { FrameReader, type FrameSink } from "../../h2/frame-reader.js";
import { protocolError } from "../../h2/frame-rules.js";
import { ConnectionError, ErrorCode, initialWindow, max31 } from "../../h2/protocol.js";
import { connectionWindow, ourSettings, PeerSettings } from "../../h2/settings.js";
import { StreamTable } from "../../h2/stream-table.js";
import { Code } from "../../status/code.js";
import type { FailureOrigin } from "../channel.js";
import type { KeepaliveOptions } from "../options.js";
import { type AttemptProgress, failure } from "../transport.js";
import type { CallStream } from "./call-stream.js";
import type { SocketHandlers } from "./connect.js";
import { HpackDecoder } from "./hpack-decoder.js";
import { Keepalive } from "./keepalive.js";
import { windowIncrement } from "./receive-window.js";
import { ResponseHead } from "./response-head.js";
import { Sender, type SenderHost } from "./sender.js";

/** From here on a connection takes no more streams: ids are not used again (RFC 9113 §5.1.1), and some are on their way. */
const lastUsableId = max31 - 2 ** 21;
/** Milliseconds for a peer that went away for an error to answer what it still does, and to close. */
const closeTimeout = 1_000;
/** Bytes of DATA from which on it counts as useful; less, with much padding, is what a flood is made of. */
const usefulData = 8;
const pingPayload = Buffer.alloc(8);

export interface ConnectionHost {
  /** The peer's settings came: it takes streams. */
  onReady(): void;
  /** A stream has ended, or the peer takes more of them. */
  onRoom(): void;
  /** The connection takes no new streams. */
  onDraining(connection: Http2Connection): void;
  /** The peer refused a stream, and may take others. */
  onRefused(connection: Http2Connection): void;
  /** The peer finds that it is asked too often whether it is alive. */
  onTooManyPings(): void;
  /** The last event, exactly once. `reason`: why; undefined where the connection was in order. */
  onClosed(connection: Http2Connection, reason: string | undefined): void;
}

/** One HTTP/2 connection (RFC 9113). */
export class Http2Connection implements FrameSink, SocketHandlers, SenderHost {
  readonly peer = new PeerSettings();
  readonly #host: ConnectionHost;
  readonly #keepaliveOptions: KeepaliveOptions | undefined;
  readonly #socket: Socket;
  readonly #sender: Sender;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #head = new ResponseHead();
  readonly #flood = new FloodGuard();
  #keepalive: Keepalive | undefined;
  readonly #streams = new StreamTable<CallStream>();
  /** Streams that are open or listed to be opened. */
  #active = 0;
  readonly #firstId: number;
  #nextId: number;
  /** Of the streams from here on nothing was given to the socket. */
  #unsentId: number;
  /** Where the peer stopped taking streams, with GOAWAY. */
  #lastStream = max31;
  #receiveWindow = connectionWindow;
  #openedAt = 0;
  /** Milliseconds of a round trip, as seen once; 0: not yet. */
  #roundTrip = 0;
  #closeTimer: NodeJS.Timeout | undefined;
  #ready = false;
  #draining = false;
  #closed = false;
  #answered = false;

  /** `open` opens the socket; the first stream gets `firstId`, which is odd. */
  constructor(
    open: (handlers: SocketHandlers) => Socket,
    keepalive: KeepaliveOptions | undefined,
    host: ConnectionHost,
    firstId = 1,
  ) {
    this.#host = host;
    this.#keepaliveOptions = keepalive;
    this.#firstId = firstId;
    this.#nextId = firstId;
    this.#unsentId = firstId;
    this.#socket = open(this);
    this.#sender = new Sender(this.#socket, this);
  }

  /** The peer has shown its settings, and takes new streams now or later. */
  get ready(): boolean {
    return this.#ready && !this.#draining && !this.#closed;
  }

  /** A new stream may be opened. */
  get room(): boolean {
    return this.ready && this.#active < this.peer.maxConcurrentStreams;
  }

  /** The peer has answered some call. */
  get responded(): boolean {
    return this.#answered;
  }

  /** No stream was opened yet. */
  get untouched(): boolean {
    return this.#nextId === this.#firstId;
  }

  /** Opens a stream; there must be room. */
  adopt(stream: CallStream): void {
    this.#active++;
    stream.join(this);
  }

  enlist(stream: CallStream): void {
    this.#sender.enlist(stream);
  }

  wrote(stream: CallStream): void {
    this.#sender.wrote(stream);
  }

  /** A stream has ended on our side; the peer is told where a code is given. */
  release(stream: CallStream, code: ErrorCode | undefined): void {
    if (stream.id !== 0) {
      this.#streams.delete(stream.id);
      if (code !== undefined) this.#sender.frames.reset(stream.id, code);
    }
    this.#left();
  }

  /** Lets the peer send more for a stream, where it may. */
  grant(stream: CallStream): void {
    const increment = windowIncrement(stream, this.#roundTrip);
    if (increment > 0) this.#sender.frames.windowUpdate(stream.id, increment);
  }

  /** Takes no new streams and closes once those under way have ended. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#host.onDraining(this);
    if (this.#active === 0) this.#shut(undefined);
  }

  /** Gives the connection up. */
  abort(reason: string): void {
    this.#shut(reason, "connect");
    this.#socket.destroy();
  }

  open(stream: CallStream): boolean {
    const id = this.#nextId;
    if (!stream.open(id, this, this.#sender.outbox.frames)) {
      queueMicrotask(() => this.#left());
      return false;
    }
    this.#nextId += 2;
    this.#streams.add(stream);
    if (id >= lastUsableId) this.drain();
    return true;
  }

  sentData(): void {
    this.#flood.useful();
  }

  given(): void {
    this.#unsentId = this.#nextId;
    this.#flood.written();
  }

  onOpen(): void {
    const { frames } = this.#sender;
    this.#openedAt = performance.now();
    frames.preface();
    frames.settings(ourSettings);
    frames.windowUpdate(0, connectionWindow - initialWindow);
  }

  onRead(length: number, bytes: Buffer): void {
    if (this.#closed) return;
    this.#keepalive?.heard();
    try {
      this.#reader.read(bytes, length);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#sender.outbox.frames.goAway(error.code, error.message);
      this.#shut(`the upstream broke HTTP/2: ${error.message}`, "protocol");
    }
  }

  onClose(error: Error | undefined): void {
    this.#shut(error?.message ?? "the upstream closed the connection", "connect");
  }

  onData(id: number, bytes: Buffer, from: number, to: number, consumed: number, end: boolean): void {
    this.#receiveWindow -= consumed;
    if (this.#receiveWindow < 0)
      throw new ConnectionError(
        ErrorCode.FlowControlError,
        "more DATA than the connection's window lets through",
      );
    if (this.#receiveWindow < connectionWindow / 2) {
      // What a stream has not taken counts in its own window: one that is not read must not stop the others.
      this.#sender.frames.windowUpdate(0, connectionWindow - this.#receiveWindow);
      this.#receiveWindow = connectionWindow;
    }
    const stream = this.#stream(id);
    if (from === to && !end) this.#flood.idle(consumed);
    else if (end || to - from >= usefulData) this.#flood.useful();
    if (stream === undefined) return;
    stream.receiveWindow -= consumed;
    if (stream.receiveWindow < 0) {
      stream.break("more DATA than the stream's window lets through", ErrorCode.FlowControlError);
      return;
    }
    stream.onData(bytes, from, to, end);
    if (!stream.over && stream.receiveWindow < stream.windowTarget / 2) this.grant(stream);
  }

  onHeaders(id: number, block: Buffer, from: number, to: number, end: boolean): void {
    const head = this.#head;
    head.clear();
    // Blocks of streams that are gone count, too: they change the table.
    this.#decoder.decode(block, from, to, head);
    const stream = this.#stream(id);
    if (stream === undefined) {
      this.#flood.idle(to - from);
      return;
    }
    if (head.informational) {
      this.#flood.idle(to - from);
    } else {
      this.#flood.useful();
      this.#answered = true;
    }
    stream.onHead(head, end);
  }

  onReset(id: number, code: number): void {
    const stream = this.#stream(id);
    if (stream === undefined) {
      this.#flood.idle();
      return;
    }
    // Before the call looks for another connection.
    if (code === ErrorCode.RefusedStream) this.#host.onRefused(this);
    stream.onReset(code);
  }

  onSettings(bytes: Buffer, from: number, to: number): void {
    this.#flood.reply();
    const { initialWindow: before } = this.peer;
    this.peer.apply(bytes, from, to);
    const change = this.peer.initialWindow - before;
    if (change !== 0) this.#widenAll(change);
    const excess = this.#active - this.peer.maxConcurrentStreams;
    if (excess > 0) this.#giveBack(excess);
    this.#sender.frames.settingsAck();
    if (!this.#ready) this.#begin();
    this.#host.onRoom();
  }

  onSettingsAck(): void {
    this.#flood.idle();
    if (this.#roundTrip === 0) this.#roundTrip = performance.now() - this.#openedAt;
  }

  onPing(ack: boolean, bytes: Buffer, from: number): void {
    if (ack) {
      this.#flood.idle();
    } else {
      this.#flood.reply();
      const { outbox } = this.#sender;
      outbox.frames.ping(true, bytes, from);
      // Some servers send a ping with each answer: a write for that alone would cost as much as one for a call.
      outbox.scheduleLater();
    }
  }

  onGoAway(lastStream: number, code: number, debug: string): void {
    if (lastStream > this.#lastStream) throw protocolError("GOAWAY with a higher last stream than before");
    this.#flood.idle();
    this.#lastStream = lastStream;
    this.#draining = true;
    if (code === ErrorCode.EnhanceYourCalm && debug === "too_many_pings") this.#host.onTooManyPings();
    this.#host.onDraining(this);
    const lost = this.#streams
      .all()
      .filter(({ id }) => id > lastStream)
      .concat(this.#sender.unopened);
    for (const stream of lost) {
      if (stream.id !== 0) this.#streams.delete(stream.id);
      this.#active--;
    }
    const why = `(GOAWAY, code ${code}${debug === "" ? "" : `, ${debug}`})`;
    const text = `the upstream took the call no more ${why}`;
    for (const stream of lost)
      stream.conclude(failure(Code.UNAVAILABLE, "connect", text, progressOf(stream)));
    if (this.#active === 0) this.#shut(undefined);
    else if (code !== ErrorCode.NoError)
      this.#expectClose(`the upstream went away ${why} and did not close the connection`);
  }

  onWindowUpdate(id: number, increment: number): void {
    // Paid for by the DATA that is sent.
    this.#flood.idle();
    if (id !== 0) {
      const stream = this.#stream(id);
      if (stream === undefined) return;
      if (increment === 0) stream.break("WINDOW_UPDATE of nothing", ErrorCode.ProtocolError);
      else this.#widen(stream, increment);
      return;
    }
    if (increment === 0) throw protocolError("WINDOW_UPDATE of nothing");
    this.#sender.window += increment;
    if (this.#sender.window > max31)
      throw new ConnectionError(ErrorCode.FlowControlError, "the connection's window grows too large");
    this.#sender.widened();
  }

  onIgnored(bytes: number): void {
    this.#flood.idle(bytes);
  }

  /** A peer that finds an error closes the connection (RFC 9113 §5.4.1); what does not is left, and those who wait. */
  #expectClose(otherwise: string): void {
    this.#closeTimer ??= setTimeout(() => this.abort(otherwise), closeTimeout).unref();
  }

  /** Ends streams that are not open yet and that the peer takes no more, so that they begin elsewhere. */
  #giveBack(count: number): void {
    const streams = this.#sender.unopened.slice(-count);
    this.#active -= streams.length;
    const text = "the upstream takes fewer streams at once than before";
    for (const stream of streams) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, "unsent"));
  }

  #begin(): void {
    this.#ready = true;
    if (this.#keepaliveOptions !== undefined) {
      const ping = () => this.#sender.frames.ping(false, pingPayload, 0);
      const { timeout } = this.#keepaliveOptions;
      const onDead = () => this.abort(`no answer to a ping within ${timeout} ms`);
      this.#keepalive = new Keepalive(this.#keepaliveOptions, ping, onDead);
    }
    this.#host.onReady();
  }

  /**
   * The stream of a frame; undefined where it has ended.
   * @throws ConnectionError where there never was one (RFC 9113 §5.1)
   */
  #stream(id: number): CallStream | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined && ((id & 1) === 0 || id >= this.#nextId))
      throw protocolError(`a frame of stream ${id}, which was never opened`);
    return stream;
  }

  #widen(stream: CallStream, change: number): void {
    stream.sendWindow += change;
    if (stream.sendWindow > max31)
      stream.break("the stream's window grows too large", ErrorCode.FlowControlError);
    else this.#sender.enlist(stream);
  }

  /** §6.9.2; a window may become negative. */
  #widenAll(change: number): void {
    // Costs something for each stream.
    this.#flood.idle(16 * this.#streams.size);
    for (const stream of this.#streams.all()) {
      stream.sendWindow += change;
      if (stream.sendWindow > max31)
        throw new ConnectionError(ErrorCode.FlowControlError, "SETTINGS that make a window too large");
      this.#sender.enlist(stream);
    }
  }

  #left(): void {
    this.#active--;
    if (this.#closed) return;
    if (this.#draining && this.#active === 0) this.#shut(undefined);
    else this.#host.onRoom();
  }

  /** Closes; without a reason, in order. Streams that are still there end with it. */
  #shut(reason: string | undefined, origin: FailureOrigin = "connect"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepalive?.stop();
    clearTimeout(this.#closeTimer);
    if (reason === undefined) this.#sender.outbox.frames.goAway(ErrorCode.NoError, "");
    this.#sender.outbox.close();
    const open = this.#streams.all();
    const { unopened } = this.#sender;
    this.#streams.clear();
    this.#host.onClosed(this, reason);
    const text = `Connection dropped: ${reason}`;
    for (const stream of open) {
      const progress = stream.id < this.#unsentId ? "sent" : "unsent";
      stream.conclude(failure(Code.UNAVAILABLE, progress === "sent" ? origin : "connect", text, progress));
    }
    for (const stream of unopened) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, "unsent"));
  }
}

/** Of a stream that the peer says it has not processed; one that it has answered it has. */
function progressOf({ id, headersReceived: answered }: CallStream): AttemptProgress {
  if (id === 0) return "unsent";
  return answered ? "sent" : "refused";
}
