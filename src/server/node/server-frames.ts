import { constants, deflateRawSync } from "node:zlib";

export const opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const fin = 0x80;
const compressed = 0x40;

/** A frame of a server (RFC 6455 section 5.2): whole, and not masked. */
export function serverFrame(code: number, payload: Uint8Array): Buffer {
  const { frame, at } = emptyFrame(fin | code, payload.length);
  frame.set(payload, at);
  return frame;
}

export function textFrame(text: string): Buffer {
  const { frame, at } = emptyFrame(fin | opcode.text, Buffer.byteLength(text));
  frame.write(text, at, "utf8");
  return frame;
}

/** @param code 1005 for a frame without one. @param reason at most 123 bytes */
export function closeFrame(code: number, reason: string): Buffer {
  if (code === 1005) return serverFrame(opcode.close, new Uint8Array(0));
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2, "utf8");
  return serverFrame(opcode.close, payload);
}

/** The text frame compressed (RFC 7692 section 7.2.1), without a window that others depend on; plain where that is shorter. */
export function deflatedTextFrame(plain: Buffer): Buffer {
  const body = plain.subarray(headLength(plain));
  const { Z_SYNC_FLUSH } = constants;
  const deflated = deflateRawSync(body, { flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH });
  // The empty block at its end is left out.
  const length = deflated.length - 4;
  if (length >= body.length) return plain;
  const { frame, at } = emptyFrame(fin | compressed | opcode.text, length);
  deflated.copy(frame, at, 0, length);
  return frame;
}

function emptyFrame(first: number, length: number): { readonly frame: Buffer; readonly at: number } {
  const at = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(at + length);
  frame[0] = first;
  if (at === 2) frame[1] = length;
  else if (at === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  return { frame, at };
}

function headLength(frame: Buffer): number {
  return frame[1] === 126 ? 4 : frame[1] === 127 ? 10 : 2;
}
