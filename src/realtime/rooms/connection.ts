/** The transport of one open socket's frames; a WebSocket of uWebSockets.js is one. Not to be used after its end. */
export interface Connection {
  /** Its client comes by requests, of which a gateway that drains takes no new connections. */
  readonly byRequests?: true;
  /** Bytes that wait for the client to read them. */
  getBufferedAmount(): number;
  send(text: string, isBinary: false): unknown;
  subscribe(topic: string): unknown;
  /** @returns whether it was subscribed */
  unsubscribe(topic: string): boolean | undefined;
  /** Runs `write` so that all it sends goes out in one piece. */
  cork(write: () => void): unknown;
  /** Sends a close frame behind everything else; the socket is over for the gateway at once. */
  end(code: number, reason: string): void;
  /** Ends the connection without a close frame. */
  close(): void;
}

/** Reaches the sockets of one listener. */
export interface Publisher {
  /** Sends a text frame to every subscriber of the topic. */
  publish(topic: string, text: string): void;
}
