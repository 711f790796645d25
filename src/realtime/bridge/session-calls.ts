import type { StreamHandle } from "../../upstream/channel.js";
import type { Session } from "./bridge.js";
import type { FrameId } from "../chat/frames.js";
import { Task } from "./task.js";

/** Bytes that a client may be behind before streams to it wait. */
const enough = 64 * 1024;

/** One call of a socket, from its frame to the last frame that answers it. */
export class SocketCall extends Task {
  /** Set while a stream is open. */
  stream: StreamHandle | undefined;
  /** True where the client itself ended it. */
  cancelled = false;
  readonly #session: Session;
  readonly #over: () => void;
  /** Frames that the socket did not take; a paused stream adds no more. */
  readonly #held: string[] = [];
  #paused = false;
  #ended = false;

  /** @param over called once, when the last frame is with the socket */
  constructor(
    readonly id: FrameId,
    session: Session,
    over: () => void,
  ) {
    super();
    this.#session = session;
    this.#over = over;
  }

  /** Sends a frame, now or when the client has caught up. */
  send(frame: string): void {
    if (this.#held.length > 0 || !this.#session.send(frame)) this.#held.push(frame);
    if (this.#held.length === 0 && this.#session.buffered <= enough) return;
    this.#paused = true;
    this.stream?.pause();
  }

  /** Sends the last frame. */
  end(frame: string): void {
    this.#ended = true;
    this.stream = undefined;
    this.send(frame);
    if (this.#held.length === 0 || this.#session.closed) this.#over();
  }

  /** The client has caught up. */
  drained(): void {
    while (this.#held.length > 0 && this.#session.send(this.#held[0]!)) this.#held.shift();
    if (this.#held.length > 0) return;
    if (this.#ended) {
      this.#over();
    } else if (this.#paused && this.#session.buffered <= enough) {
      this.#paused = false;
      this.stream?.resume();
    }
  }
}

/** The calls under way of one socket. They are few. */
export class SessionCalls {
  readonly #calls: SocketCall[] = [];

  get size(): number {
    return this.#calls.length;
  }

  /** @param id that the client gave it */
  get(id: FrameId): SocketCall | undefined {
    return this.#calls.find(call => call.id === id);
  }

  open(session: Session, id: FrameId): SocketCall {
    const call = new SocketCall(id, session, () => {
      const at = this.#calls.indexOf(call);
      if (at >= 0) this.#calls.splice(at, 1);
    });
    this.#calls.push(call);
    return call;
  }

  /** All of them; they may end while one walks over them. */
  all(): readonly SocketCall[] {
    return [...this.#calls];
  }
}
