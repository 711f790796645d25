import type { Socket } from "node:net";
import { errorMessage } from "../net/error-text.js";
import type { RequestTopic, Topic } from "./topic.js";

/** Bytes that may wait for the other side to read; a message that would wait behind more is not sent. */
const maxPendingBytes = 64 << 20;

/** Bytes of one frame. Both sides are ours: a longer one means that the stream is not read right. */
const maxFrameBytes = 256 << 20;

/** Bytes before the topic: length of the rest, kind, number of the request, length of the topic. */
const headBytes = 10;

/** The kinds of frames: a message, a request, the response to one, or the failure of one. */
const kinds = { message: 0, request: 1, response: 2, failure: 3 } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

/** The other side has ended, or the channel was closed. */
export class ChannelClosed extends Error {
  override readonly name = "ChannelClosed";

  constructor() {
    super("the process at the other end has ended");
  }
}

interface PendingRequest {
  resolve(payload: Uint8Array): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout | undefined;
}

type Handler = (payload: Uint8Array) => unknown;
type Responder = (payload: Uint8Array) => Promise<Uint8Array>;

/**
 * One end of the connection between the primary and a worker: messages and requests both ways, in order, over a socket
 * of the two processes alone. Frames of one turn are written at once.
 */
export class ProcessChannel {
  /** Resolves when nothing will arrive any more. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #failed: (error: unknown) => void;
  readonly #handlers = new Map<string, Handler>();
  readonly #responders = new Map<string, Responder>();
  readonly #pending = new Map<number, PendingRequest>();
  #lastRequest = 0;
  #corked = false;
  #open = true;
  /** The received part of an incomplete frame. */
  #chunks: Buffer[] = [];
  #held = 0;
  #needed = headBytes;

  /** @param failed called with the error of a message handler; only that message is lost */
  constructor(socket: Socket, failed: (error: unknown) => void) {
    this.#socket = socket;
    this.#failed = failed;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // The error is of no interest: a process that is killed resets the connection.
    socket.on("error", () => undefined);
    this.closed = new Promise(resolve => {
      socket.once("close", () => {
        this.#end();
        resolve();
      });
    });
  }

  /**
   * Sends without waiting.
   * @returns false where it is not sent: the other side has ended, or reads too slowly
   */
  send<T>(topic: Topic<T>, message: T): boolean {
    return this.#write(kinds.message, 0, topic.name, topic.codec.encode(message));
  }

  /**
   * Sends a request and waits for its response.
   * @param timeoutMs none: as long as the other side lives
   * @throws ChannelClosed (by rejection) where the other side ends before
   * @throws Error (by rejection) with the message of the other side's error, or that the time is over
   */
  request<Q, R>({ name, request, response }: RequestTopic<Q, R>, message: Q, timeoutMs?: number): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#lastRequest = (this.#lastRequest + 1) >>> 0;
      const id = this.#lastRequest;
      if (!this.#write(kinds.request, id, name, request.encode(message))) {
        reject(this.#open ? new Error(`${name}: the other process reads too slowly`) : new ChannelClosed());
        return;
      }
      const late = (): void => {
        this.#pending.delete(id);
        reject(new Error(`${name}: no response within ${timeoutMs} ms`));
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
      this.#pending.set(id, { resolve: payload => resolve(response.decode(payload)), reject, timer });
    });
  }

  /** Has messages of a topic handled, by one handler. A payload of bytes is to be copied where it is kept. */
  onMessage<T>({ name, codec }: Topic<T>, handle: (message: T) => unknown): void {
    this.#handlers.set(name, payload => handle(codec.decode(payload)));
  }

  /** Sets the only handler of these requests; its error is the failure that the other side gets. */
  onRequest<Q, R>(
    { name, request, response }: RequestTopic<Q, R>,
    respond: (message: Q) => R | Promise<R>,
  ): void {
    this.#responders.set(name, async payload => response.encode(await respond(request.decode(payload))));
  }

  /** Sends the written frames and closes. */
  close(): void {
    this.#socket.end();
    this.#end();
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new ChannelClosed());
    }
    this.#pending.clear();
  }

  #write(kind: Kind, id: number, topic: string, payload: Uint8Array): boolean {
    const socket = this.#socket;
    if (!this.#open || !socket.writable || socket.writableLength > maxPendingBytes) return false;
    const head = Buffer.allocUnsafe(headBytes + topic.length);
    head.writeUInt32LE(topic.length + payload.length, 0);
    head[4] = kind;
    head.writeUInt32LE(id, 5);
    head[9] = topic.length;
    head.write(topic, headBytes, "latin1");
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      // Not in the next tick: sockets of uWebSockets.js have each frame handled in a tick of its own.
      setImmediate(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(head);
    if (payload.length > 0) socket.write(payload);
    return true;
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#held);
    let needed = headBytes;
    while (bytes.length >= headBytes) {
      needed = headBytes + bytes.readUInt32LE(0);
      if (needed > maxFrameBytes) {
        this.#socket.destroy(new Error(`a frame of ${needed} bytes`));
        return;
      }
      if (bytes.length < needed) break;
      this.#receive(bytes.subarray(0, needed));
      bytes = bytes.subarray(needed);
      needed = headBytes;
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#held = bytes.length;
    this.#needed = needed;
  }

  #receive(frame: Buffer): void {
    const id = frame.readUInt32LE(5);
    const payloadAt = headBytes + (frame[9] as number);
    const payload = frame.subarray(payloadAt);
    const topic = (): string => frame.toString("latin1", headBytes, payloadAt);
    switch (frame[4]) {
      case kinds.message:
        this.#handle(topic(), payload);
        return;
      case kinds.request:
        void this.#respond(id, topic(), payload);
        return;
      default:
        this.#settle(id, frame[4] === kinds.response, payload);
    }
  }

  #handle(topic: string, payload: Uint8Array): void {
    try {
      const result = this.#handlers.get(topic)?.(payload);
      if (result instanceof Promise) result.catch(this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #respond(id: number, topic: string, payload: Uint8Array): Promise<void> {
    try {
      const respond = this.#responders.get(topic);
      if (respond === undefined) throw new Error(`there is no handler of ${topic}`);
      this.#write(kinds.response, id, "", await respond(payload));
    } catch (error) {
      this.#write(kinds.failure, id, "", Buffer.from(errorMessage(error)));
    }
  }

  #settle(id: number, succeeded: boolean, payload: Uint8Array): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (succeeded) pending.resolve(payload);
    else pending.reject(new Error(Buffer.from(payload).toString()));
  }
}
