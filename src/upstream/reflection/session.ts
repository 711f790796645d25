import { Cancellation } from "../../net/cancellation.js";
import type { CallStatus, Channel, StreamHandle } from "../channel.js";
import { decodeResponse, encodeRequest, type ReflectionRequest, type ReflectionResponse } from "./message.js";

/** Requests sent ahead of their answers. */
const pipelined = 64;

/** A reflection stream ended before it had answered. */
export class ReflectionEnded extends Error {
  override readonly name = "ReflectionEnded";
  constructor(readonly status: CallStatus) {
    super(status.message === "" ? `the stream ended with code ${status.code}` : status.message);
  }
}

interface Waiting {
  resolve(response: ReflectionResponse): void;
  reject(error: Error): void;
}

/** One ServerReflectionInfo stream. The server answers requests in their order. */
export class ReflectionSession {
  readonly #stream: StreamHandle;
  readonly #cancellation = new Cancellation();
  readonly #waiting: Waiting[] = [];
  readonly #cancel = () => this.#cancellation.cancel();
  #ended: Error | undefined;

  /** `path` is that of ServerReflectionInfo; `timeout` is for the whole session, in milliseconds; `signal` ends it. */
  constructor(channel: Channel, path: string, timeout: number, signal?: AbortSignal) {
    this.#stream = channel.stream({
      path,
      metadata: [],
      timeout,
      cancellation: this.#cancellation,
      onMessage: message => this.#onMessage(message),
      onEnd: status => {
        signal?.removeEventListener("abort", this.#cancel);
        this.#fail(new ReflectionEnded(status));
      },
    });
    if (signal?.aborted) this.#cancel();
    else signal?.addEventListener("abort", this.#cancel);
  }

  /**
   * Asks all, answers in the same order.
   * @throws ReflectionEnded, or Error where an answer cannot be understood
   */
  async ask(requests: readonly ReflectionRequest[]): Promise<ReflectionResponse[]> {
    const responses: ReflectionResponse[] = [];
    for (let start = 0; start < requests.length; start += pipelined) {
      const batch = requests.slice(start, start + pipelined);
      responses.push(...(await Promise.all(batch.map(request => this.#ask(request)))));
    }
    return responses;
  }

  close(): void {
    this.#cancel();
  }

  #ask(request: ReflectionRequest): Promise<ReflectionResponse> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#stream.send(encodeRequest(request));
    });
  }

  #onMessage(message: Uint8Array): void {
    try {
      const response = decodeResponse(message);
      this.#waiting.shift()?.resolve(response);
    } catch (error) {
      this.#fail(
        new Error(`malformed reflection response: ${error instanceof Error ? error.message : error}`),
      );
      this.#cancel();
    }
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}
