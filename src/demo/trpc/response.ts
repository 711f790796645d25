import { ByteWriter } from "../../h2/bytes.js";
import { frameHeadSize, writeFrameHead } from "../../upstream/trpc/frame.js";
import { writeVarint } from "../../upstream/trpc/trans-info.js";

/** Tags of `ResponseProtocol` (trpc.proto). */
const Tag = {
  RequestId: 0x18,
  Ret: 0x20,
  FuncRet: 0x28,
  ErrorMessage: 0x32,
  TransInfo: 0x42,
  ContentType: 0x48,
  ContentEncoding: 0x50,
  AttachmentSize: 0x60,
} as const;

/** A response to be written; fields that are left out are 0 or empty. */
export interface TrpcResponse {
  /** Of the frame. */
  readonly id: number;
  /** Of the header; that of the frame where it is left out. */
  readonly requestId?: number;
  /** Version of the request's frame. */
  readonly version?: number;
  readonly ret?: number;
  readonly funcRet?: number;
  readonly message?: string;
  /** Entries of `trans_info`, encoded. */
  readonly transInfo?: readonly Uint8Array[];
  readonly contentType?: number;
  readonly contentEncoding?: number;
  readonly body?: Uint8Array;
  readonly attachment?: Uint8Array;
}

const noBytes = new Uint8Array(0);

/** The frame of a response. */
export function responseFrame(response: TrpcResponse): Buffer {
  const { id, requestId = id, version = 1, body = noBytes, attachment = noBytes } = response;
  const out = new ByteWriter(256 + body.length + attachment.length);
  out.length = frameHeadSize;
  writeNumber(out, Tag.RequestId, requestId);
  writeNumber(out, Tag.Ret, response.ret ?? 0);
  writeNumber(out, Tag.FuncRet, response.funcRet ?? 0);
  if (response.message !== undefined)
    writeBytes(out, Tag.ErrorMessage, Buffer.from(response.message, "utf8"));
  for (const entry of response.transInfo ?? []) writeBytes(out, Tag.TransInfo, entry);
  writeNumber(out, Tag.ContentType, response.contentType ?? 0);
  writeNumber(out, Tag.ContentEncoding, response.contentEncoding ?? 0);
  writeNumber(out, Tag.AttachmentSize, attachment.length);
  const header = out.length - frameHeadSize;
  out.append(body);
  out.append(attachment);
  writeFrameHead(out.bytes, 0, out.length, header, id, version);
  return out.bytes.subarray(0, out.length);
}

/** The entry of a map from a text to a text. */
export function transInfoEntry(key: string, value: string | Uint8Array): Uint8Array {
  const out = new ByteWriter(64);
  writeBytes(out, 0x0a, Buffer.from(key, "utf8"));
  writeBytes(out, 0x12, typeof value === "string" ? Buffer.from(value, "utf8") : value);
  return out.bytes.subarray(0, out.length);
}

function writeNumber(out: ByteWriter, tag: number, value: number): void {
  if (value === 0) return;
  out.reserve(16);
  out.bytes[out.length++] = tag;
  writeVarint(out, value);
  if (value >= 0) return;
  // Negative numbers have ten bytes: the sign goes on.
  out.bytes[out.length - 1] = out.bytes[out.length - 1]! | 0xf0;
  for (let count = 0; count < 4; count++) out.bytes[out.length++] = 0xff;
  out.bytes[out.length++] = 0x01;
}

function writeBytes(out: ByteWriter, tag: number, bytes: Uint8Array): void {
  out.reserve(6);
  out.bytes[out.length++] = tag;
  writeVarint(out, bytes.length);
  out.append(bytes);
}
