/** A message in the envelope of gRPC, gRPC-Web and Connect streams. */
export function enveloped(flags: number, message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

export interface Envelope {
  readonly flags: number;
  readonly message: Buffer;
}

export function envelopes(bytes: Buffer): Envelope[] {
  const found: Envelope[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    found.push({ flags: bytes[at] ?? 0, message: bytes.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

export interface RpcResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export async function call(
  url: string,
  type: string | undefined,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<RpcResponse> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: type === undefined ? headers : { "content-type": type, ...headers },
  });
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
}

/** What the last envelope of a gRPC-Web response says. */
export function webTrailers(bytes: Buffer): Record<string, string> {
  const last = envelopes(bytes).at(-1);
  if (last?.flags !== 0x80) throw new Error("the response does not end with trailers");
  const lines = last.message.toString("latin1").split("\r\n").filter(Boolean);
  return Object.fromEntries(lines.map(line => line.split(/: ?(.*)/s).slice(0, 2)));
}
