/** Numbers of RFC 9113 that more than one file needs. */

/** §6 */
export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

/** §6; Ack and EndStream share a bit in frames of different types. */
export const Flag = { EndStream: 0x1, Ack: 0x1, EndHeaders: 0x4, Padded: 0x8, Priority: 0x20 } as const;

/** §7 */
export const ErrorCode = {
  NoError: 0,
  ProtocolError: 1,
  InternalError: 2,
  FlowControlError: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSizeError: 6,
  RefusedStream: 7,
  Cancel: 8,
  CompressionError: 9,
  ConnectError: 10,
  EnhanceYourCalm: 11,
  InadequateSecurity: 12,
  Http11Required: 13,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Bytes before the payload of every frame (§4.1). */
export const frameHeadSize = 9;
/** Largest payload of a frame before any SETTINGS, and the least that a peer may set (§6.5.2). */
export const maxFrameSize = 16_384;
/** Largest flow-control window (§6.9.1) and largest stream id (§5.1.1). */
export const max31 = 0x7fff_ffff;
/** Flow-control windows before any SETTINGS or WINDOW_UPDATE (§6.9.2). */
export const initialWindow = 65_535;

/** Bytes of the table of header fields before any SETTINGS (§6.5.2). */
export const initialTableSize = 4096;

/** Which end of a connection. */
export type Role = "client" | "server";

/** An error of the peer that ends the connection (§5.4.1). */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** Sent in GOAWAY. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Frame types that belong to a stream, and those that belong to the connection. WINDOW_UPDATE belongs to either. */
const ofStream =
  (1 << FrameType.Data) |
  (1 << FrameType.Headers) |
  (1 << FrameType.Priority) |
  (1 << FrameType.RstStream) |
  (1 << FrameType.Continuation);
const ofConnection = (1 << FrameType.Settings) | (1 << FrameType.Ping) | (1 << FrameType.GoAway);

/**
 * Checks a frame by its head alone (RFC 9113 §6). `maxSize` is our SETTINGS_MAX_FRAME_SIZE.
 * @throws ConnectionError
 */
export function checkFrame(type: number, flags: number, stream: number, size: number, maxSize: number): void {
  if (size > maxSize) throw frameSizeError(`a frame of ${size} bytes`);
  if (type > FrameType.Continuation) return;
  if (stream === 0 && (ofStream & (1 << type)) !== 0)
    throw protocolError(`a frame of type ${type} without a stream`);
  if (stream !== 0 && (ofConnection & (1 << type)) !== 0)
    throw protocolError(`a frame of type ${type} on a stream`);
  switch (type) {
    case FrameType.Data:
      if (size === 0 && (flags & Flag.Padded) !== 0)
        throw frameSizeError("DATA without the length of its padding");
      break;
    case FrameType.Priority:
      if (size !== 5) throw frameSizeError(`PRIORITY of ${size} bytes`);
      break;
    case FrameType.RstStream:
      if (size !== 4) throw frameSizeError(`RST_STREAM of ${size} bytes`);
      break;
    case FrameType.Settings:
      if ((flags & Flag.Ack) !== 0 ? size !== 0 : size % 6 !== 0)
        throw frameSizeError(`SETTINGS of ${size} bytes`);
      break;
    case FrameType.PushPromise:
      throw protocolError("PUSH_PROMISE, which is not allowed");
    case FrameType.Ping:
      if (size !== 8) throw frameSizeError(`PING of ${size} bytes`);
      break;
    case FrameType.GoAway:
      if (size < 8) throw frameSizeError(`GOAWAY of ${size} bytes`);
      break;
    case FrameType.WindowUpdate:
      if (size !== 4) throw frameSizeError(`WINDOW_UPDATE of ${size} bytes`);
  }
}

export function protocolError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.ProtocolError, message);
}

export function frameSizeError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.FrameSizeError, message);
}
