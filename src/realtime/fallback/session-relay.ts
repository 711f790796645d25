import { type Failure, GatewayError } from "../../status/failure.js";
import { ChannelClosed, type ProcessChannel } from "../../workers/channel.js";
import type { WorkerPool } from "../../workers/pool.js";
import { question, structured } from "../../workers/topic.js";
import { sessionNotFound } from "./fallback-connection.js";

/** A request of a client to a session that is open. */
export interface SessionRequest {
  readonly action: "receive" | "poll" | "leave";
  readonly secret: string;
  /** Of the request with frames, or of the last frame that the client has. */
  readonly number: number;
  /** Frames. */
  readonly body: Uint8Array;
}

/** The body of the response, or why there is none. */
type RelayedResponse = { readonly body: string } | { readonly failure: Failure };

const relayedRequest = question<SessionRequest, RelayedResponse>(
  "sessions.request",
  structured(),
  structured(),
);

/** Milliseconds for a request in another worker, and the time that a poll waits beside. */
const responseTimeoutMs = 10_000;
const pollTimeoutMs = 35_000;

/** The sessions of the other workers of this machine, from one of them. */
export class SessionRelay {
  /** What secrets of this worker begin with. */
  readonly prefix: string;
  readonly #channel: ProcessChannel;

  /** @param worker its number */
  constructor(channel: ProcessChannel, worker: number) {
    this.prefix = `${worker}.`;
    this.#channel = channel;
  }

  /** Whether another worker may have the session of that secret. */
  reaches(secret: string): boolean {
    return workerOf(secret) !== undefined && !secret.startsWith(this.prefix);
  }

  /**
   * Has the worker respond that has the session.
   * @throws GatewayError (rejects) as that does, SESSION_NOT_FOUND where it has ended
   */
  async pass(request: SessionRequest): Promise<string> {
    const response = await this.#channel.ask(relayedRequest, request, timeoutOf(request));
    if ("failure" in response) throw new GatewayError(response.failure);
    return response.body;
  }

  /** Responds to requests that have reached other workers. @throws GatewayError (or rejects with it) */
  respond(to: (request: SessionRequest) => string | Promise<string>): void {
    this.#channel.onRequest(relayedRequest, async request => {
      try {
        return { body: await to(request) };
      } catch (error) {
        if (error instanceof GatewayError) return { failure: error.failure };
        throw error;
      }
    });
  }
}

/** In the primary: passes requests to the workers that have their sessions. */
export function relaySessions(workers: Pick<WorkerPool, "serving" | "onForked">): void {
  workers.onForked(({ channel }) => {
    channel.onRequest(relayedRequest, async request => {
      const number = workerOf(request.secret);
      const holder = workers.serving.find(({ id }) => id === number);
      try {
        if (holder !== undefined)
          return await holder.channel.ask(relayedRequest, request, timeoutOf(request));
      } catch (error) {
        if (!(error instanceof ChannelClosed)) throw error;
      }
      return { failure: sessionNotFound().failure };
    });
  });
}

function timeoutOf({ action }: SessionRequest): number {
  return action === "poll" ? pollTimeoutMs : responseTimeoutMs;
}

/** The number of the worker that a secret names. */
function workerOf(secret: string): number | undefined {
  const [, number] = /^([1-9][0-9]{0,4})\./.exec(secret) ?? [];
  return number === undefined ? undefined : Number(number);
}
