/** The WebSocket of a client, whatever engine reads and writes its frames. After its end all of this does nothing. */
export interface ClientSocket {
  /** Bytes that wait for the client. */
  readonly bufferedBytes: number;
  sendText(text: string): void;
  sendBinary(bytes: Uint8Array): void;
  /** Reads no more from the connection; what has been read already still comes, a few hundred KiB at most. */
  pause(): void;
  resume(): void;
  /** Sends a close frame behind all that was sent, and takes nothing more. @param reason at most 123 bytes */
  end(code: number, reason: string): void;
}

/** What happens on the socket of a client. Nothing may be thrown. */
export interface ClientSocketListener {
  /** @param data the listener's; text has been checked to be UTF-8 */
  received(data: Buffer, isBinary: boolean): void;
  /** The client has taken some of what waited for it. */
  drained(): void;
  /** What comes is no frame (1002, 1007, 1008) or a message that is too large (1009). Nothing more comes; it is to be ended. */
  broken(code: number): void;
  /**
   * The last call: the client has closed it, or its connection is over. Not called after `end`.
   * @param code the client's; 1005 where it gave none, 1006 where the connection ended without a close frame
   */
  left(code: number): void;
}

/** What holds for the sockets of a listener. */
export interface ClientSocketLimits {
  /** Bytes of a message beyond which uWebSockets.js closes the connection, without a close code of ours. */
  readonly maxMessageBytes: number;
  /** A client that says nothing for so long, pings unanswered too, is gone; 8000 to 960000. */
  readonly idleTimeoutMs: number;
}

/** Pings without a word between them that a client gets pongs for while it does not read. */
export const maxUnreadPings = 100;
