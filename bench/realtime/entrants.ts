/** Those that `server.ts` is. */
export type OwnEntrantName = "protogate" | "uws" | "socket.io" | "ws";
export type EntrantName = OwnEntrantName | "centrifugo";

/** How a client of a server comes in and speaks, apart from RFC 6455. */
export interface Dialect {
  readonly path: string;
  /** Frames that a client sends when its socket is open, until it is a member. @param name of the client */
  greeting(name: string): readonly string[];
  /** True where each frame of the greeting is answered, and the next one waits for that. */
  readonly polite?: true;
  /** The frame that is sent to all members. */
  message(text: string): string;
  /** What the members get of it, to a few bytes. */
  delivered(text: string): string;
  /**
   * How many messages a frame of that length has, where it may have several; else one.
   * @param message bytes of what the members get of one, which `delivered` then gives to the byte
   */
  messagesIn?(length: number, message: number): number;
}

const plain: Dialect = {
  path: "/ws",
  greeting: () => [],
  message: text => text,
  delivered: text => text,
};

/** https://centrifugal.dev/docs/transports/client_protocol, in JSON: several commands or replies are lines of one frame. */
const centrifugo: Dialect = {
  path: "/connection/websocket",
  greeting: () => [`{"id":1,"connect":{}}`, `{"id":2,"subscribe":{"channel":"general"}}`],
  polite: true,
  message: text => JSON.stringify({ id: 3, publish: { channel: "general", data: text } }),
  delivered: data => {
    const info = { user: "", client: "00848712-bf69-48ac-a78c-66937983d78d" };
    return JSON.stringify({ push: { channel: "general", pub: { data, info } } });
  },
  // The sender gets answers as well; all messages are of one length, and all answers of another.
  messagesIn: (length, message) => {
    const answer = `{"id":3,"publish":{}}\n`.length;
    for (let rest = length + 1; rest >= 0; rest -= answer)
      if (rest % (message + 1) === 0) return rest / (message + 1);
    throw new Error(`a frame of ${length} bytes is not made of messages of ${message} bytes`);
  },
};

export const dialects: Readonly<Record<EntrantName, Dialect>> = {
  protogate: {
    path: "/ws",
    greeting: name => [JSON.stringify({ type: "join-room", room_id: "general", from: name })],
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
  centrifugo,
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
