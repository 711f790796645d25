import { Cancellation } from "../../net/cancellation.js";
import { type Failure, GatewayError } from "../../status/failure.js";
import { ChannelClosed, type ProcessChannel } from "../../workers/channel.js";
import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { requestTopic, structured, topic } from "../../workers/topic.js";
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

/** With a name of its own among those of all workers. */
type RelayedRequest = SessionRequest & { readonly id: string };

const relayedRequest = requestTopic<RelayedRequest, RelayedResponse>(
  "sessions.request",
  structured(),
  structured(),
);

/** The client of a poll has left. */
const cancelledPoll = topic<Pick<RelayedRequest, "secret" | "id">>("sessions.cancelled");

/** Milliseconds for a request in another worker, and the time that a poll waits beside. */
const responseTimeoutMs = 10_000;
const pollTimeoutMs = 35_000;

/** The sessions of the other workers of this machine, from one of them. */
export class SessionRelay {
  /** What secrets of this worker begin with. */
  readonly prefix: string;
  readonly #channel: ProcessChannel;
  #lastRequest = 0;

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
  async pass(request: SessionRequest, cancellation: Cancellation): Promise<string> {
    const { action, secret } = request;
    const id = `${this.prefix}${++this.#lastRequest}`;
    const requested = this.#channel.request(relayedRequest, { ...request, id }, timeoutOf(request));
    if (action === "poll") cancellation.listen(() => this.#channel.send(cancelledPoll, { secret, id }));
    const response = await requested;
    if ("failure" in response) throw new GatewayError(response.failure);
    return response.body;
  }

  /** Responds to requests that have reached other workers. @throws GatewayError (or rejects with it) */
  respond(to: (request: SessionRequest, cancellation: Cancellation) => string | Promise<string>): void {
    const cancellations = new Map<string, Cancellation>();
    this.#channel.onMessage(cancelledPoll, ({ id }) => cancellations.get(id)?.cancel());
    this.#channel.onRequest(relayedRequest, async request => {
      const cancellation = new Cancellation();
      cancellations.set(request.id, cancellation);
      try {
        return { body: await to(request, cancellation) };
      } catch (error) {
        if (error instanceof GatewayError) return { failure: error.failure };
        throw error;
      } finally {
        cancellations.delete(request.id);
      }
    });
  }
}

/** In the primary: passes requests to the workers that have their sessions. */
export function relaySessions(workers: Pick<WorkerPool, "serving" | "onForked">): void {
  const holderOf = (secret: string): WorkerProcess | undefined => {
    const number = workerOf(secret);
    return workers.serving.find(({ id }) => id === number);
  };
  workers.onForked(({ channel }) => {
    channel.onMessage(cancelledPoll, poll => holderOf(poll.secret)?.channel.send(cancelledPoll, poll));
    channel.onRequest(relayedRequest, async request => {
      const holder = holderOf(request.secret);
      try {
        if (holder !== undefined)
          return await holder.channel.request(relayedRequest, request, timeoutOf(request));
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
