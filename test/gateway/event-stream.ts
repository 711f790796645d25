import http from "node:http";

type Json = Record<string, unknown>;
type Headers = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Of an error. */
  readonly reason: unknown;
}

/** One request over a connection of its own. */
export function ask(
  port: number,
  method: string,
  headers: Headers,
  body?: string | Buffer,
  path = "/ws",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", method, path, headers, agent: false } as const;
    const request = http.request(options, async response => {
      let text = "";
      try {
        for await (const chunk of response.setEncoding("utf8")) text += chunk;
      } catch (error) {
        reject(error);
        return;
      }
      const reason = text.startsWith("{") ? JSON.parse(text).reason : undefined;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, reason });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The headers of a request with frames. */
export function framesHeaders(session: string, number: number | string, more: Headers = {}): Headers {
  return {
    "protogate-session": session,
    "protogate-number": String(number),
    "content-type": "application/x-ndjson",
    ...more,
  };
}

/** A session whose frames come as server-sent events. */
export class EventStream {
  readonly frames: Json[] = [];
  comments = 0;
  /** Of the event `close`; undefined where the stream ended without one. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string } | undefined>;
  session = "";
  number = 0;
  #rest = "";
  #close: { readonly code: number; readonly reason: string } | undefined;
  #over = false;
  #wake: (() => void) | undefined;

  private constructor(
    readonly port: number,
    readonly request: http.ClientRequest,
    readonly response: http.IncomingMessage,
  ) {
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => this.#take(chunk));
    this.closed = new Promise(resolve => {
      const end = (): void => {
        this.#over = true;
        this.#wake?.();
        resolve(this.#close);
      };
      response.on("error", () => undefined).on("close", end);
    });
  }

  /** Resolves with the name of the session known. @throws Error where it is refused */
  static open(port: number, headers: Headers = {}, path = "/ws"): Promise<EventStream> {
    return new Promise((resolve, reject) => {
      const all = { accept: "text/event-stream", ...headers };
      const options = { port, host: "127.0.0.1", path, headers: all, agent: false } as const;
      const request = http.get(options, response => {
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`status ${response.statusCode}`));
          return;
        }
        const stream = new EventStream(port, request, response);
        stream.until(() => stream.session !== "").then(() => resolve(stream), reject);
      });
      request.on("error", reject);
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#over) throw new Error("the stream has ended");
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends frames as the next request of the session. */
  say(...frames: readonly (Json | string)[]): Promise<Answer> {
    const lines = frames.map(frame => (typeof frame === "string" ? frame : JSON.stringify(frame)));
    return ask(this.port, "POST", framesHeaders(this.session, ++this.number), `${lines.join("\n")}\n`);
  }

  /** The next frame with that id, or of that type; those before it are dropped. */
  async next(fits: { readonly id?: unknown; readonly type?: string }): Promise<Json> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame === undefined) await this.until(() => this.frames.length > 0);
      else if (fits.id !== undefined ? frame.id === fits.id : frame.type === fits.type) return frame;
    }
  }

  /** The client vanishes. */
  break(): void {
    this.request.destroy();
  }

  #take(chunk: string): void {
    this.#rest += chunk;
    for (let end = this.#rest.indexOf("\n\n"); end >= 0; end = this.#rest.indexOf("\n\n")) {
      this.#event(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
    }
    this.#wake?.();
  }

  #event(text: string): void {
    const fields = new Map<string, string>();
    for (const line of text.split("\n")) {
      const [, name = "", value = ""] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
      const before = fields.get(name);
      fields.set(name, before === undefined ? value : `${before}\n${value}`);
    }
    if (fields.has("")) this.comments++;
    const data = fields.get("data");
    if (data === undefined) return;
    const value = JSON.parse(data);
    const event = fields.get("event");
    if (event === "session") this.session = value.session;
    else if (event === "close") this.#close = value;
    else this.frames.push(value);
  }
}
