import { readUint32 } from "./bytes.js";
import {
  ConnectionError,
  ErrorCode,
  initialTableSize,
  initialWindow,
  max31,
  maxFrameSize,
  type Role,
} from "./protocol.js";

/** RFC 9113 §6.5.2 */
const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
} as const;

/** The settings that we announce. */
export interface LocalSettings {
  /** Bytes of the table that the peer's header blocks may refer to. */
  readonly headerTableSize: number;
  /** False for a client: it takes no pushed streams. Undefined for a server. */
  readonly enablePush?: false;
  /** Streams that the peer may have open at once. Undefined: no limit. */
  readonly maxConcurrentStreams?: number;
  /** Bytes that the peer may send on a new stream. */
  readonly initialWindowSize: number;
  /** Bytes of a frame's payload. */
  readonly maxFrameSize: number;
  /** Bytes of a header list as §6.5.2 counts them, and of a header block. */
  readonly maxHeaderListSize: number;
}

/** The entries of our SETTINGS frame: those that differ from the initial values. */
export function settingsEntries(settings: LocalSettings): (readonly [id: number, value: number])[] {
  const {
    headerTableSize,
    enablePush,
    maxConcurrentStreams,
    initialWindowSize,
    maxFrameSize: frame,
  } = settings;
  return [
    ...(headerTableSize === initialTableSize ? [] : [[Setting.HeaderTableSize, headerTableSize] as const]),
    ...(enablePush === undefined ? [] : [[Setting.EnablePush, 0] as const]),
    ...(maxConcurrentStreams === undefined
      ? []
      : [[Setting.MaxConcurrentStreams, maxConcurrentStreams] as const]),
    [Setting.InitialWindowSize, initialWindowSize],
    ...(frame === maxFrameSize ? [] : [[Setting.MaxFrameSize, frame] as const]),
    [Setting.MaxHeaderListSize, settings.maxHeaderListSize],
  ];
}

/**
 * The settings that the peer announces. SETTINGS_HEADER_TABLE_SIZE is ignored: our encoder uses no table, which its first
 * block announces.
 */
export class PeerSettings {
  readonly #role: Role;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindow = initialWindow;
  maxFrameSize = maxFrameSize;
  /** Advice only (§6.5.2). */
  maxHeaderList = Number.POSITIVE_INFINITY;

  /** `role` is that of the peer. */
  constructor(role: Role) {
    this.#role = role;
  }

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
        if (value > 1 || (value === 1 && this.#role === "server"))
          throw illegal(ErrorCode.ProtocolError, "SETTINGS_ENABLE_PUSH", value);
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
