import type { Socket } from "node:net";
import { type CloseCause, Http2Connection, Phase, type SocketHandlers } from "../../h2/connection.js";
import type { WindowSizes } from "../../h2/flow-control.js";
import { HpackDecoder } from "../../h2/hpack-decoder.js";
import type { KeepaliveOptions } from "../../h2/keepalive.js";
import { ErrorCode, initialTableSize, max31, maxFrameSize, protocolError } from "../../h2/protocol.js";
import type { LocalSettings } from "../../h2/settings.js";
import { Code } from "../../status/code.js";
import { type AttemptProgress, failure } from "../transport.js";
import type { CallStream } from "./call-stream.js";
import { maxHeaderList } from "./metadata.js";
import { ResponseHead, responseFields } from "./response-head.js";
import { streamWindow } from "./response-stream.js";

/** From here on a connection takes no more streams: ids are not used again (RFC 9113 §5.1.1), and some are on their way. */
const lastUsableId = max31 - 2 ** 21;
/** Milliseconds for a peer that went away for an error to finish the streams that it still processes, and to close. */
const closeTimeoutMs = 1_000;

const windows: WindowSizes = {
  stream: streamWindow,
  maxStream: 4 * 1024 * 1024,
  connection: 16 * 1024 * 1024,
};

const settings: LocalSettings = {
  headerTableSize: initialTableSize,
  enablePush: false,
  initialWindowSize: windows.stream,
  maxFrameSize,
  maxHeaderListSize: maxHeaderList,
};

export interface ConnectionHost {
  /** The peer's settings came: it takes streams. */
  onReady(): void;
  /** A stream has ended, or the peer takes more of them. */
  onRoom(): void;
  /** The connection takes no new streams. */
  onDraining(connection: ClientConnection): void;
  /** The peer refused a stream, and may take others. */
  onRefused(connection: ClientConnection): void;
  /** The peer finds that it is pinged too often. */
  onTooManyPings(): void;
  /** The last event, exactly once. `reason`: why; undefined where the connection was in order. */
  onClosed(connection: ClientConnection, reason: string | undefined): void;
}

/** The client's side of a connection: it opens streams, and knows how far each came where the connection ends. */
export class ClientConnection extends Http2Connection<CallStream> {
  readonly #host: ConnectionHost;
  readonly #decoder = new HpackDecoder(responseFields, settings.headerTableSize, settings.maxHeaderListSize);
  readonly #head = new ResponseHead();
  readonly #firstId: number;
  /** The last stream that the peer processes, as its GOAWAY announces. */
  #lastStream = max31;
  #closeTimer: NodeJS.Timeout | undefined;
  #responded = false;

  /** `open` opens the socket; the first stream gets `firstId`, which is odd. */
  constructor(
    open: (handlers: SocketHandlers) => Socket,
    keepalive: KeepaliveOptions | undefined,
    host: ConnectionHost,
    firstId = 1,
  ) {
    super(open, {
      role: "client",
      settings,
      windows,
      keepalive,
      firstId,
      maxBlockSize: settings.maxHeaderListSize,
    });
    this.#host = host;
    this.#firstId = firstId;
  }

  /** A new stream may be opened. */
  get room(): boolean {
    return this.phase === Phase.Open && this.active < this.peer.maxConcurrentStreams;
  }

  /** The peer has responded to some call. */
  get responded(): boolean {
    return this.#responded;
  }

  /** Opens a stream; there must be room. */
  adopt(stream: CallStream): void {
    this.active++;
    stream.join(this);
    // Later, since the transport is looking for connections just now.
    if (this.sender.nextId >= lastUsableId) queueMicrotask(() => this.drain());
  }

  onHeaders(id: number, block: Buffer, from: number, to: number, end: boolean): void {
    const head = this.#head;
    head.clear();
    // Blocks of streams that are gone count, too: they change the table.
    this.#decoder.decode(block, from, to, head);
    const stream = this.find(id);
    if (stream === undefined) {
      this.flood.idle(to - from);
      return;
    }
    if (head.informational) {
      this.flood.idle(to - from);
    } else {
      this.flood.useful();
      this.#responded = true;
    }
    stream.onHead(head, end);
  }

  onReset(id: number, code: number): void {
    const stream = this.find(id);
    if (stream === undefined) {
      this.flood.idle();
      return;
    }
    // Before the call looks for another connection.
    if (code === ErrorCode.RefusedStream) this.#host.onRefused(this);
    stream.onReset(code, this.phase === Phase.Draining);
  }

  onGoAway(lastStream: number, code: number, debug: string): void {
    if (lastStream > this.#lastStream) throw protocolError("GOAWAY with a higher last stream than before");
    this.flood.idle();
    this.#lastStream = lastStream;
    if (code === ErrorCode.EnhanceYourCalm && debug === "too_many_pings") this.#host.onTooManyPings();
    this.startDraining();
    const lost = this.streams
      .all()
      .filter(({ id }) => id > lastStream)
      .concat(this.sender.unopened);
    for (const stream of lost) {
      if (stream.id !== 0) this.streams.delete(stream.id);
      this.active--;
    }
    const why = `(GOAWAY, code ${code}${debug === "" ? "" : `, ${debug}`})`;
    const text = `the upstream no longer accepts the call ${why}`;
    for (const stream of lost)
      stream.conclude(failure(Code.UNAVAILABLE, "connect", text, progressOf(stream)));
    if (this.active === 0) this.close(undefined);
    else if (code !== ErrorCode.NoError)
      this.#expectClose(`the upstream went away ${why} and did not close the connection`);
  }

  protected existed(id: number): boolean {
    return (id & 1) === 1 && id >= this.#firstId && id < this.sender.nextId;
  }

  protected receive(stream: CallStream, bytes: Buffer, from: number, to: number, end: boolean): void {
    stream.onData(bytes, from, to, end);
  }

  /** Frames still on their way when we reset a stream. */
  protected onStray(): void {}

  protected onPeerSettings(first: boolean): void {
    const excess = this.active - this.peer.maxConcurrentStreams;
    if (excess > 0) this.#returnUnopened(excess);
    if (first) this.#host.onReady();
    this.#host.onRoom();
  }

  protected onStreamEnded(): void {
    this.#host.onRoom();
  }

  protected onDraining(): void {
    this.#host.onDraining(this);
  }

  protected onEnd(
    open: CallStream[],
    unopened: CallStream[],
    reason: string | undefined,
    cause: CloseCause,
  ): void {
    clearTimeout(this.#closeTimer);
    const why = cause === "protocol" ? `the upstream broke HTTP/2: ${reason}` : reason;
    this.#host.onClosed(this, why);
    const text = `Connection dropped: ${why}`;
    const origin = cause === "protocol" ? "protocol" : "connect";
    const { unsentId } = this.sender;
    for (const stream of open)
      stream.conclude(
        stream.id < unsentId
          ? failure(Code.UNAVAILABLE, origin, text, "sent")
          : failure(Code.UNAVAILABLE, "connect", text, "unsent"),
      );
    for (const stream of unopened) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, "unsent"));
  }

  /** Of a server that may not push. */
  protected get lastPeerStream(): number {
    return 0;
  }

  /** A peer that finds an error closes the connection (RFC 9113 §5.4.1); one that does not is left, with the calls on it. */
  #expectClose(otherwise: string): void {
    this.#closeTimer ??= setTimeout(() => this.abort(otherwise), closeTimeoutMs).unref();
  }

  /** Ends streams that are not open yet and that the peer no longer takes, so that they begin elsewhere. */
  #returnUnopened(count: number): void {
    const streams = this.sender.unopened.slice(-count);
    this.active -= streams.length;
    const text = "the upstream allows fewer streams at once than before";
    for (const stream of streams) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, "unsent"));
  }
}

/** How far a stream came that is above the last one of GOAWAY. One with response headers was processed all the same. */
function progressOf({ id, headersReceived }: CallStream): AttemptProgress {
  if (id === 0) return "unsent";
  return headersReceived ? "sent" : "goaway";
}
