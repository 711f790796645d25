import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { versionUnderTest } from "../engine.js";
import { exchangeHttp2, http2Ports } from "../http2-client.js";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is when a string, else as JSON. */
  readonly body?: unknown;
}

/** One HTTP exchange on a connection of its own, with the path sent byte for byte as given. */
export function send(port: number, method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const { body } = sent;
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const headers = {
    ...(text === undefined
      ? {}
      : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    ...sent.headers,
  };
  if (versionUnderTest() === 2 && http2Ports.has(port)) return sendHttp2(port, method, path, headers, text);
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, incoming => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const { statusCode = 0, headers: received } = incoming;
        resolve({ status: statusCode, headers: received, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(text);
  });
}

async function sendHttp2(
  port: number,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  text: string | undefined,
): Promise<Answer> {
  const sent = text === undefined ? undefined : Buffer.from(text);
  const answer = await exchangeHttp2(port, method, path, headers, sent);
  return { ...answer, body: answer.body.toString("utf8") };
}
