import { ConnectionError, ErrorCode, Flag, FrameType, maxFrameSize } from "./protocol.js";

/** Frame types that belong to a stream, and those that belong to the connection. WINDOW_UPDATE belongs to either. */
const ofStream =
  (1 << FrameType.Data) |
  (1 << FrameType.Headers) |
  (1 << FrameType.Priority) |
  (1 << FrameType.RstStream) |
  (1 << FrameType.Continuation);
const ofConnection = (1 << FrameType.Settings) | (1 << FrameType.Ping) | (1 << FrameType.GoAway);

/**
 * Checks what a frame's head alone shows to be wrong (RFC 9113 §6).
 * @throws ConnectionError
 */
export function checkFrame(type: number, flags: number, stream: number, size: number): void {
  if (size > maxFrameSize) throw frameSizeError(`a frame of ${size} bytes`);
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
      throw protocolError("PUSH_PROMISE, which was forbidden");
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
