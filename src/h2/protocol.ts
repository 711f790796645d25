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
/** Largest payload that we take: the initial SETTINGS_MAX_FRAME_SIZE, which is never raised (§6.5.2). */
export const maxFrameSize = 16_384;
/** Largest flow-control window (§6.9.1) and largest stream id (§5.1.1). */
export const max31 = 0x7fff_ffff;
/** Flow-control windows before any SETTINGS or WINDOW_UPDATE (§6.9.2). */
export const initialWindow = 65_535;

/** Header names and values together, 32 added for each as §6.5.2 counts, and bytes of one compressed block. */
export const maxHeaderList = 64 * 1024;

/** What the peer did ends the connection (§5.4.1). */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** Sent in GOAWAY. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
