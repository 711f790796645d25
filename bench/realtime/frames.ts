/** Frames of WebSockets as the clients of the bench read and write them (RFC 6455 section 5.2): nothing is checked. */

/** The request that opens a socket, whose bearer token is the client's name. */
export function upgradeRequest(path: string, name: string): string {
  return (
    `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
    `authorization: Bearer ${name}\r\n\r\n`
  );
}

/** Bytes of the head of the server's frame at `at`, of which two are there. */
export function headLength(bytes: Buffer, at: number): number {
  const short = shortLength(bytes, at);
  return short === 126 ? 4 : short === 127 ? 10 : 2;
}

/** Up to 125 the length of the payload, else how it is written. */
export function shortLength(bytes: Buffer, at: number): number {
  return (bytes[at + 1] ?? 0) & 0x7f;
}

/** Bytes of the payload of the frame whose head is there. */
export function payloadLength(bytes: Buffer, at: number): number {
  const short = shortLength(bytes, at);
  if (short < 126) return short;
  return short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
}

/** A frame of a client, masked with zeros. */
export function frameOf(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length < 126 ? [first, 0x80 | length] : [first, 0xfe, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}
