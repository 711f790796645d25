import type { Static } from "typebox";
import { authReference } from "../auth/config.js";
import type { BindingSections } from "../bindings/service-config.js";
import type { Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, section, size, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { rateLimitReference } from "../limits/config.js";
import type { LiveKitConfig } from "../livekit/config.js";
import { addressForms, listenerTls } from "../server/config.js";
import { brokerSchema } from "./brokers/registry.js";
import { feedSchema, feedsSection } from "./feeds/config.js";

/** The longest idle timeout that uWebSockets.js takes, milliseconds. */
const maxIdleTimeout = 900_000;

const limits = section(
  {
    message: size({ description: "Largest message of a client.", default: "64KiB" }, 128, 16 * 1024 ** 2),
    rooms_per_connection: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 128,
      description: "Rooms that a socket can be in at once. From 1 to 10000.",
    }),
    messages_per_second: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 20,
      description: "Frames that a socket may send each second, whatever their type.",
    }),
    burst: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 150,
      description: "Frames that a socket may send at once after a pause, as when it joins its rooms again.",
    }),
    connections: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 100_000,
      description: "Sockets that may be open at once.",
    }),
    idle_timeout: duration(
      {
        description: "Time without a frame or pong after which a socket is closed; pings are sent before.",
        default: "60s",
      },
      8000,
      maxIdleTimeout,
    ),
  },
  "Limits of one socket, and of all of them together.",
);

const backpressure = section(
  {
    max: size({ description: "Bytes buffered for one slow client.", default: "1MiB" }, 16 * 1024, 1 << 30),
    policy: choice(["close", "drop"], {
      description:
        "What happens to a client beyond `max`. `close`: it is closed with 4008 and can resume by `since`; `drop`: it gets later what history still has, and a gap for the rest.",
      default: "close",
    }),
  },
  "Clients that read more slowly than messages come.",
);

const history = section(
  {
    messages: Type.Integer({
      minimum: 0,
      maximum: 100_000,
      default: 100,
      description: "Messages that are kept of each room. From 0 to 100000.",
    }),
    ttl: duration({ description: "How long a message is kept.", default: "1h" }, 1000),
    max_bytes: size(
      {
        description: "Memory for the messages of all rooms together; the oldest are removed first.",
        default: "64MiB",
      },
      64 * 1024,
      2 ** 40,
    ),
  },
  "Messages that are kept for clients that resume.",
);

const event = (description: string) =>
  Type.Optional(
    mapping(
      {
        upstream: text("nonempty", { description: "Name of an upstream." }),
        method: text("rpcMethod", { description: "`package.Service/Method`, unary." }),
        timeout: Type.Optional(duration({ description: "Deadline, in place of the upstream's." })),
        on_failure: choice(["refuse", "allow"], {
          description: "What happens where the backend cannot be called: `refuse` or `allow` the event.",
          default: "refuse",
        }),
        rewrite: Type.Optional(
          listOf(choice(["from", "message"], { description: "Field of the response." }), {
            description:
              "What a response may rewrite. Left out: `message`, where responses have a text of that name.",
          }),
        ),
      },
      description,
    ),
  );

const roomEntry = mapping(
  {
    match: text("nonempty", {
      description:
        "Names of rooms: `*` stands for any text, `{name}` for one that is not empty and that policies (`room.name`) and requests to backends can use. The first entry that a name fits holds.",
    }),
    history: Type.Optional(
      mapping(
        {
          messages: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 100_000,
              description: "Messages that are kept of each of them. From 0 to 100000.",
            }),
          ),
          ttl: Type.Optional(duration({ description: "How long a message is kept." }, 1000)),
        },
        "What is kept, in place of `realtime.history`.",
      ),
    ),
    presence: choice(["users", "sockets", "off"], {
      description:
        "What members see of each other: `users`: names; `sockets`: each socket, with its `session`; `off`: nothing.",
      default: "users",
    }),
    notices: Type.Optional(
      choice(["each", "digest", "off"], {
        description:
          "How members are notified of joins and leaves: `each` at once, a `digest` at most once a second, or `off`. Left out, `each`, and `off` with `presence: off`.",
      }),
    ),
    events: Type.Optional(
      listOf(choice(["join", "message", "leave"], { description: "An event of `realtime.events`." }), {
        description:
          "The events of these rooms that are sent to backends. Left out, everything in `realtime.events`.",
      }),
    ),
    publish: choice(["members", "server"], {
      description: "Who may publish: members, or servers alone.",
      default: "members",
    }),
    max_members: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: "Sockets that can be in such a room at once, on all gateways.",
      }),
    ),
    token: Type.Optional(
      mapping(
        {
          provider: text("nonempty", {
            description: "The provider of type jwt under auth.providers that verifies tokens.",
          }),
          claim: text("nonempty", {
            description: "The claim that names the room, or lists the names of several.",
            default: "room",
          }),
        },
        "Clients join with a token that names the room, and are members until it expires.",
      ),
    ),
    cache: Type.Boolean({
      description: "Whether a new member gets the last message of the room.",
      default: false,
    }),
    feed: Type.Optional(feedSchema),
  },
  "Rooms of one kind.",
);

export type RoomConfig = Loaded<typeof roomEntry>;

const roomsSchema = Type.Unsafe<boolean | RoomConfig[]>({
  anyOf: [
    Type.Boolean({ description: "Whether there are rooms." }),
    { type: "array", items: roomEntry, minItems: 1, description: "Which rooms there are, by their names." },
  ],
  description:
    "Whether there are rooms; without them only `calls`. A list says which: names that fit none of its entries are refused.",
  default: true,
});

const sessionRule = mapping(
  {
    key: text("nonempty", {
      description:
        "What the classes of a user's sockets differ by: a claim, such as claim.PlatformID, or `subject`, for one class with all of them.",
    }),
    max: Type.Integer({ minimum: 1, maximum: 10_000, default: 1, description: "Sockets of one class." }),
    over: choice(["kick_oldest", "refuse"], {
      description:
        "What happens to one more: `kick_oldest` closes the oldest with 4409, `refuse` the new one with 4429.",
      default: "kick_oldest",
    }),
  },
  "How many sockets a user may have.",
);

/** For backends; every client that can connect to it may do everything with rooms and sockets. */
const api = Type.Optional(
  mapping(
    {
      address: text("address", {
        description: "Where the gRPC service protogate.realtime.v1.Rooms is served, such as 127.0.0.1:9091.",
      }),
      tls: Type.Optional(
        mapping(
          {
            cert: text("path", { description: "File of the certificate chain, PEM." }),
            key: text("keyPath", { description: "File of the private key, PEM." }),
          },
          "Serve TLS with this certificate. Without it the listener speaks plain text.",
        ),
      ),
      token: Type.Optional(
        text("secret", {
          description: "What callers send as authorization: Bearer …. Only on loopback may it be left out.",
        }),
      ),
    },
    "A gRPC listener for backends that publish to rooms. Left out: only the admin listener has the server API.",
  ),
);

const count = (description: string, standard: number) =>
  Type.Integer({ minimum: 1, maximum: 1_000_000, default: standard, description });

export const RealtimeSchema = mapping(
  {
    path: Type.Optional(
      text("mount", {
        description:
          "Where WebSockets are opened: on listeners.realtime, there at /ws without it, and on listeners.http only where it is written.",
      }),
    ),
    protocol: choice(["chat"], { description: "The protocol of the frames.", default: "chat" }),
    rest: Type.Optional(
      text("mount", {
        description:
          "The path below which GET /rooms, POST /send and POST /receive are served, on every listener. Left out: they are not served.",
      }),
    ),
    rooms: roomsSchema,
    feeds: feedsSection,
    user_room: Type.Optional(
      text("nonempty", {
        description:
          "The name of a room for each user, such as user-{subject}. The user's sockets are members of it from the start, and nobody else can join it.",
      }),
    ),
    sessions: Type.Array(sessionRule, {
      description: "How many sockets a user may have of each class, on all gateways.",
      default: [],
    }),
    auth: Type.Optional(
      authReference(
        "Authentication of sockets: `none`, or providers of which one must accept. Left out: `auth.default`.",
      ),
    ),
    rate_limit: rateLimitReference,
    origins: listOf(text("nonempty", { description: 'An origin such as https://app.example.com, or "*".' }), {
      description:
        'Origins whose pages may open a socket. Left out: only those of the own origin. Cookies are used from these origins and from clients that are not browsers, never by "*".',
      default: [],
    }),
    transports: listOf(choice(["websocket", "sse", "poll"], { description: "A transport." }), {
      description:
        "How frames pass at realtime.path. Where WebSockets do not, they are sent by POST requests, and come as server-sent events (`sse`) or by long polling (`poll`).",
      default: ["websocket"],
    }),
    refusals: choice(["status", "close"], {
      description:
        "How a client learns that its socket is refused. `status`: by an HTTP response, which browsers do not show to pages. `close`: the socket opens and is closed with 4000 + the HTTP status and the reason.",
      default: "status",
    }),
    sent_at: choice(["seconds", "milliseconds"], {
      description: "Unit of `sent_at`, since 1970; seconds have a fraction.",
      default: "seconds",
    }),
    deflate: Type.Boolean({
      description: "Compress messages. It costs about two thirds of the throughput.",
      default: false,
    }),
    limits,
    backpressure,
    history,
    broker: Type.Unsafe<Static<typeof brokerSchema>>({ ...brokerSchema, default: { type: "memory" } }),
    events: section(
      {
        connect: event("Called before a socket is opened."),
        join: event("Called before a client joins a room."),
        message: event("Called before a message is published."),
        leave: event("Called when a client has left a room."),
        disconnect: event("Called when a socket has closed."),
      },
      "Methods of backends that are called on events of sockets.",
    ),
    calls: listOf(
      text("nonempty", {
        description: "`package.Service/Method`, or `package.Service/*` for all of a service.",
      }),
      { description: "Methods that clients may call over the socket.", default: [] },
    ),
    bridge: section(
      {
        concurrency: count("Events and unary calls under way at once, for each upstream.", 256),
        queue: count("Events and calls that may wait for that, for each upstream.", 1024),
        streams: count("Streaming calls of all sockets under way at once.", 1024),
        calls_per_connection: count("Calls of one socket under way at once.", 16),
      },
      "Limits of calls from sockets to backends.",
    ),
    api,
  },
  "WebSockets with rooms.",
);

export type RealtimeConfig = Loaded<typeof RealtimeSchema>;

/** `listeners.realtime`. */
export const RealtimeListenerSchema = mapping(
  {
    address: text("address", { description: `Where WebSockets are opened: ${addressForms}` }),
    tls: listenerTls,
  },
  "The listener of WebSockets. It uses uWebSockets.js where the addon can be loaded, else the portable engine.",
);

/** The sections of the configuration that sockets are made of. */
export interface RealtimeSections extends BindingSections {
  readonly realtime?: RealtimeConfig | undefined;
  readonly livekit?: LiveKitConfig | undefined;
  readonly listeners: { readonly realtime?: Loaded<typeof RealtimeListenerSchema> | undefined };
}
