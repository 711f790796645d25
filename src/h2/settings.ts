import { readUint32 } from "./bytes.js";
import { ConnectionError, ErrorCode, initialWindow, max31, maxFrameSize, maxHeaderList } from "./protocol.js";

/** RFC 9113 §6.5.2 */
const Setting = {
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
} as const;

/** Our flow-control windows, in bytes: of a stream at first and at most, and of a connection. */
export const streamWindow = 256 * 1024;
export const maxStreamWindow = 4 * 1024 * 1024;
export const connectionWindow = 16 * 1024 * 1024;

/** What we tell the peer. SETTINGS_HEADER_TABLE_SIZE and SETTINGS_MAX_FRAME_SIZE stay as they are. */
export const ourSettings: readonly (readonly [id: number, value: number])[] = [
  [Setting.EnablePush, 0],
  [Setting.InitialWindowSize, streamWindow],
  [Setting.MaxHeaderListSize, maxHeaderList],
];

/** What the peer has told. SETTINGS_HEADER_TABLE_SIZE means nothing to us: our encoder says at once that it has no table. */
export class PeerSettings {
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindow = initialWindow;
  maxFrameSize = maxFrameSize;
  /** Advice only (§6.5.2). */
  maxHeaderList = Number.POSITIVE_INFINITY;

  /**
   * Takes the entries of a SETTINGS frame, in their order; unknown ones are ignored.
   * @throws ConnectionError where a value is not allowed
   */
  apply(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at += 6)
      this.#set((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2));
  }

  #set(id: number, value: number): void {
    switch (id) {
      case Setting.EnablePush:
        if (value !== 0) throw illegal(ErrorCode.ProtocolError, "SETTINGS_ENABLE_PUSH", value);
        break;
      case Setting.MaxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case Setting.InitialWindowSize:
        if (value > max31) throw illegal(ErrorCode.FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE", value);
        this.initialWindow = value;
        break;
      case Setting.MaxFrameSize:
        if (value < maxFrameSize || value >= 2 ** 24)
          throw illegal(ErrorCode.ProtocolError, "SETTINGS_MAX_FRAME_SIZE", value);
        this.maxFrameSize = value;
        break;
      case Setting.MaxHeaderListSize:
        this.maxHeaderList = value;
    }
  }
}

function illegal(code: ErrorCode, name: string, value: number): ConnectionError {
  return new ConnectionError(code, `${name} of ${value}`);
}
