export const entrantNames = ["protogate", "uws", "socket.io", "ws"] as const;
export type EntrantName = (typeof entrantNames)[number];

/** How a client of a server comes in and speaks, apart from RFC 6455. */
export interface Dialect {
  readonly path: string;
  /** Frames that a client sends when its socket is open, until it is a member. @param name of the client */
  greeting(name: string): readonly string[];
  /** The frame that is sent to all members. */
  message(text: string): string;
  /** What the members get of it, to a few bytes. */
  delivered(text: string): string;
}

const plain: Dialect = {
  path: "/ws",
  greeting: () => [],
  message: text => text,
  delivered: text => text,
};

export const dialects: Readonly<Record<EntrantName, Dialect>> = {
  protogate: {
    path: "/ws",
    greeting: () => [JSON.stringify({ type: "join-room", room_id: "general" })],
    message: text => JSON.stringify({ type: "send-message", room_id: "general", message: text }),
    delivered: message =>
      JSON.stringify({
        type: "receive-message",
        room_id: "general",
        from: "member 0",
        message,
        sent_at: 1730758663.598,
        seq: 10_000,
        epoch: "0123456789ab",
      }),
  },
  uws: plain,
  ws: plain,
  // Engine.IO 4 in Socket.IO 5: 40 joins the main namespace, 42 is an event.
  "socket.io": {
    path: "/socket.io/?EIO=4&transport=websocket",
    greeting: () => ["40"],
    message: text => `42${JSON.stringify(["message", text])}`,
    delivered: text => `42${JSON.stringify(["message", text])}`,
  },
};
