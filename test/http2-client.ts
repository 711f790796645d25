import { connect, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The ports of gateways that speak it and are not closed. */
export const http2Ports = new Set<number>();

/** One HTTP/2 exchange on a connection of its own, in plain text and with prior knowledge. */
export function exchangeHttp2(
  port: number,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal?: AbortSignal | null,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const { host = `127.0.0.1:${port}`, connection: _, ...others } = headers;
    const head = { ":method": method, ":path": path, ":authority": String(host), ...others };
    const stream = session.request(head, { endStream: body === undefined });
    const chunks: Buffer[] = [];
    let received: IncomingHttpHeaders = {};
    stream.on("response", got => {
      received = got;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    signal?.addEventListener("abort", () => stream.close(constants.NGHTTP2_CANCEL));
    stream.on("close", () => {
      session.close();
      const { ":status": status, ...fields } = received;
      if (status === undefined || signal?.aborted) reject(new Error(`no response, code ${stream.rstCode}`));
      else resolve({ status: Number(status), headers: fields, body: Buffer.concat(chunks) });
    });
    if (body !== undefined) stream.end(body);
  });
}

/** The same by the parameters of `fetch`. */
export async function fetchHttp2(url: string, init: RequestInit): Promise<Response> {
  const { pathname, search, port } = new URL(url);
  const request = new Request(url, init);
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
  const headers = Object.fromEntries(request.headers);
  const target = `${pathname}${search}`;
  const answer = await exchangeHttp2(Number(port), request.method, target, headers, body, init.signal);
  const fields = new Headers();
  for (const [name, value = []] of Object.entries(answer.headers))
    for (const each of Array.isArray(value) ? value : [value]) fields.append(name, each);
  const empty = [204, 205, 304].includes(answer.status);
  return new Response(empty ? null : new Uint8Array(answer.body), { status: answer.status, headers: fields });
}
