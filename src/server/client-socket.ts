/** The WebSocket of a client, on any engine. After its end all methods do nothing. */
export interface ClientSocket {
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  sendText(text: string): void;
  sendBinary(bytes: Uint8Array): void;
  /** Stops reading from the connection; bytes that were read already still come, a few hundred KiB at most. */
  pause(): void;
  resume(): void;
  /** Sends a close frame behind all that was sent, and takes nothing more. @param reason at most 123 bytes */
  end(code: number, reason: string): void;
}

/** The events of a client's socket. Listeners must not throw. */
export interface ClientSocketListener {
  /** @param data the listener's; text has been checked to be UTF-8 */
  received(data: Buffer, isBinary: boolean): void;
  /** The client has taken some of the waiting bytes. */
  drained(): void;
  /** A malformed frame (1002, 1007, 1008) or a message too large (1009). Nothing more comes; it is to be ended. */
  broken(code: number): void;
  /**
   * The last call: the client has closed it, or its connection is over. Not called after `end`.
   * @param code the client's; 1005 where it gave none, 1006 where the connection ended without a close frame
   */
  left(code: number): void;
}

/** The limits of the sockets of a listener. */
export interface ClientSocketLimits {
  /** Bytes of a message beyond which uWebSockets.js closes the connection, without a close code of ours. */
  readonly maxMessageBytes: number;
  /** Milliseconds after which a silent client, also without pongs, is gone; 8000 to 960000. */
  readonly idleTimeoutMs: number;
}

/** Pings without another frame between them that get pongs while the client does not read. */
export const maxUnreadPings = 100;
