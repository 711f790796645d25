import {
  type Carrier,
  isFrame,
  readFrame,
  type Transport,
  type TransportEvents,
  type TransportRequest,
} from "./transport.js";
import { BackgroundUpgrade } from "./upgrade.js";

/** Frames come by a stream of server-sent events, and go by requests: through whatever lets HTTP responses stream. */
export function sseTransport(): Transport {
  return {
    name: "sse",
    connect: (request, events) => new Session(request, events, readStream),
    upgrade: (options, owner) => new BackgroundUpgrade(options, owner),
  };
}

/** Frames come by requests that wait for them, and go by others: through whatever lets HTTP through. */
export function pollTransport(): Transport {
  return {
    name: "poll",
    connect: (request, events) => new Session(request, events, readPolls),
    upgrade: (options, owner) => new BackgroundUpgrade(options, owner),
  };
}

interface Close {
  readonly code: number;
  readonly reason: string;
}

interface PollResponse {
  /** The number of the first frame. */
  readonly from: number;
  readonly frames: readonly unknown[];
  readonly close?: Close;
}

type HeaderFields = Readonly<Record<string, string>>;

/** Milliseconds before a request whose response was lost is repeated: each time twice as long. */
const firstRetryMs = 200;
const maxRetries = 4;
/** The gateway has that time to end what it sends, when the client leaves. */
const leaveMs = 1000;

/** A refusal of the gateway, or of something before it: repeating the request would not help. */
class Refused {
  constructor(readonly close: Close) {}
}

/** What a WebSocket would be: frames both ways by requests to one path. */
class Session implements Carrier {
  readonly #url: string;
  readonly #events: TransportEvents;
  readonly #controller = new AbortController();
  /** Known once it is open. */
  #secret: string | undefined;
  #over = false;
  readonly #unsent: string[] = [];
  /** Of the frames that go together; one alone may be longer. */
  #maxBatchChars = 16_384;
  #sending = false;
  /** Of the last request with frames. */
  #number = 0;

  /** @param read receives until the gateway ends the session */
  constructor(
    request: TransportRequest,
    events: TransportEvents,
    read: (session: Session, headers: HeaderFields) => Promise<Close>,
  ) {
    this.#url = request.url.replace(/^ws/, "http");
    this.#events = events;
    const headers = request.token === undefined ? {} : { authorization: `Bearer ${request.token}` };
    read(this, headers).then(
      close => this.#ended(close),
      error => this.#failed(error),
    );
  }

  /** @param opening what the gateway responds to it @throws TypeError */
  opened({ session }: { readonly session?: unknown }): void {
    if (typeof session !== "string") throw new TypeError("there is no session in the response");
    this.#secret = session;
    if (!this.#over) this.#events.opened();
  }

  /** @param frame whatever stands for one */
  received(frame: unknown): void {
    if (!this.#over && isFrame(frame)) this.#events.frame(frame);
  }

  send(text: string): void {
    this.#unsent.push(text);
    if (!this.#sending) void this.#sendAll();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#secret === undefined) {
      this.#controller.abort();
      return;
    }
    // A page may be about to go. What the gateway still sends ends by itself, if there is a network.
    const timer = setTimeout(() => this.#controller.abort(), leaveMs);
    this.request("DELETE", {}, { keepalive: true })
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        this.#controller.abort();
      });
  }

  /** @throws TypeError (rejects) where there is no response */
  request(
    method: string,
    headers: HeaderFields,
    more: { body?: string; keepalive?: boolean; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const secret = this.#secret;
    const init = {
      method,
      headers: { ...headers, ...(secret !== undefined && { "protogate-session": secret }) },
      // A redirect would take the secret elsewhere.
      redirect: "manual",
      cache: "no-store",
      signal: this.#controller.signal,
      ...more,
    } as const;
    return fetch(this.#url, init);
  }

  /** A request that the gateway takes once, however often it arrives. @throws Refused, TypeError (rejects) */
  async repeat<T>(
    method: string,
    headers: HeaderFields,
    body: string | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    for (let retry = 0; ; retry++) {
      // Listeners of a request may stay at its signal until it is collected: one signal for all would gather them.
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      const { signal } = this.#controller;
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort);
      const more = { signal: controller.signal, ...(body !== undefined && { body }) };
      try {
        const response = await this.request(method, headers, more);
        if (response.ok) return await read(response);
        const refused = new Refused(await refusal(response));
        if (!isPassing(response.status) || retry === maxRetries) throw refused;
      } catch (error) {
        if (error instanceof Refused || retry === maxRetries) throw error;
      } finally {
        signal.removeEventListener("abort", abort);
      }
      if (this.#over) throw new Refused({ code: 1006, reason: "" });
      await new Promise(resolve => setTimeout(resolve, firstRetryMs * 2 ** retry));
    }
  }

  async #sendAll(): Promise<void> {
    this.#sending = true;
    // What is sent in one turn goes together.
    await undefined;
    try {
      while (this.#unsent.length > 0 && !this.#over) await this.#sendBatch(this.#takeBatch());
    } catch (error) {
      this.#failed(error);
    }
    this.#sending = false;
  }

  async #sendBatch(batch: readonly string[]): Promise<void> {
    const number = String(this.#number + 1);
    const headers = { "content-type": "application/x-ndjson", "protogate-number": number };
    const body = batch.join("\n");
    try {
      await this.repeat("POST", headers, body, async () => undefined);
      this.#number++;
    } catch (error) {
      if (batch.length === 1 || !(error instanceof Refused) || error.close.code !== 1009) throw error;
      // Nothing of it was taken.
      this.#unsent.unshift(...batch);
      this.#maxBatchChars = body.length / 2;
    }
  }

  #takeBatch(): string[] {
    let chars = 0;
    const end = this.#unsent.findIndex(text => {
      chars += text.length + 1;
      return chars > this.#maxBatchChars;
    });
    return this.#unsent.splice(0, end < 0 ? this.#unsent.length : Math.max(1, end));
  }

  #failed(error: unknown): void {
    this.#ended(error instanceof Refused ? error.close : { code: 1006, reason: String(error) });
  }

  #ended({ code, reason }: Close): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.abort();
    this.#events.closed(code, reason);
  }
}

async function readStream(session: Session, headers: HeaderFields): Promise<Close> {
  const response = await session.request("GET", {
    ...headers,
    accept: "text/event-stream",
    "protogate-pongs": "true",
  });
  const reader = isOfType(response, "text/event-stream") ? response.body?.getReader() : undefined;
  if (reader === undefined) throw new Refused(await refusal(response));
  const decoder = new TextDecoder();
  let rest = "";
  let event = "";
  let data = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { code: 1006, reason: "the stream has ended" };
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      // What is trimmed is no part of any JSON text.
      const at = line.indexOf(":");
      const content = line.slice(at + 1).trim();
      if (line.startsWith("event:")) event = content;
      else if (line.startsWith("data:")) data += `${content}\n`;
      else if (line.trim() === "") {
        if (event === "close") return JSON.parse(data) as Close;
        if (event === "session") session.opened(JSON.parse(data));
        // Any request is the response, also one without frames.
        else if (event === "ping") session.send("");
        else if (data !== "") session.received(readFrame(data));
        event = data = "";
      }
    }
  }
}

async function readPolls(session: Session, headers: HeaderFields): Promise<Close> {
  const json = "application/json";
  const response = await session.request("POST", { ...headers, accept: json });
  if (!isOfType(response, json)) throw new Refused(await refusal(response));
  session.opened((await response.json()) as object);
  for (let received = 0; ; ) {
    const { from, frames, close } = await session.repeat(
      "GET",
      { accept: json, "protogate-received": String(received) },
      undefined,
      each => each.json() as Promise<PollResponse>,
    );
    if (from > received + 1) return { code: 1006, reason: `frame ${received + 1} is missing` };
    for (const frame of frames.slice(received + 1 - from)) session.received(frame);
    received = Math.max(received, from + frames.length - 1);
    if (close !== undefined) return close;
  }
}

function isOfType(response: Response, type: string): boolean {
  return response.ok && response.headers.get("content-type")?.startsWith(type) === true;
}

/** Whether a status may be another soon: of a gateway that restarts, say, behind a proxy. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** Statuses that are the gateway's decision about the client, where the response is the gateway's. */
const decisive: ReadonlySet<number> = new Set([401, 403, 429, 503]);

/** The close code of a response, as that of a WebSocket that is refused. */
async function refusal(response: Response): Promise<Close> {
  const { status, headers } = response;
  let reason: unknown;
  try {
    reason = (JSON.parse(await response.text()) as { reason?: unknown } | null)?.reason;
  } catch {
    // It is a proxy's.
  }
  if (status === 413) return { code: 1009, reason: "" };
  if (typeof reason !== "string")
    return { code: 1006, reason: `status ${status}, ${headers.get("content-type") ?? "no content"}` };
  const wait = Number(headers.get("retry-after"));
  return {
    code: decisive.has(status) ? 4000 + status : 1006,
    reason: JSON.stringify({ reason, ...(wait > 0 && { retry_after: wait }) }),
  };
}
