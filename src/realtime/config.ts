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
      description: "Frames that a socket may send at once after silence, as when it joins its rooms anew.",
    }),
    connections: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 100_000,
      description: "Sockets that may be open at once.",
    }),
    idle_timeout: duration(
      {
        description:
          "A client that says nothing for so long is gone; pings are sent in time. From 8s to 15m.",
        default: "60s",
      },
      8000,
    ),
  },
  "What one socket, and all of them together, may cost.",
);

const backpressure = section(
  {
    max: size(
      { description: "What may wait for a client that reads slowly.", default: "1MiB" },
      16 * 1024,
      1 << 30,
    ),
    policy: choice(["close", "drop"], {
      description:
        "What is done with a client that has more waiting. `close`: it is closed with 4008 and can resume by `since`; `drop`: it gets what it missed later, and a gap for what is not kept any more.",
      default: "close",
    }),
  },
  "Clients that read more slowly than their rooms speak.",
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
        description: "Memory for the messages of all rooms together; the oldest are given up first.",
        default: "64MiB",
      },
      64 * 1024,
      2 ** 40,
    ),
  },
  "What is kept for clients that come back.",
);

const event = (description: string) =>
  Type.Optional(
    mapping(
      {
        upstream: text("nonempty", { description: "Name of an upstream." }),
        method: text("rpcMethod", { description: "`package.Service/Method`, unary." }),
        timeout: Type.Optional(duration({ description: "Deadline, in place of the upstream's." })),
        on_failure: choice(["refuse", "allow"], {
          description: "What happens where the backend cannot be asked.",
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
        "What members can learn of each other: names, each socket of a name (frames have its `session`), or nothing.",
      default: "users",
    }),
    notices: Type.Optional(
      choice(["each", "digest", "off"], {
        description:
          "How members are notified of those who join and leave: of each at once, once in a second of all together, or never. Left out, `each`, and `off` with `presence: off`.",
      }),
    ),
    events: Type.Optional(
      listOf(choice(["join", "message", "leave"], { description: "An event of `realtime.events`." }), {
        description: "What backends are asked of these rooms. Left out, everything in `realtime.events`.",
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
      description: "Whether who joins is sent the last message.",
      default: false,
    }),
  },
  "Rooms of one form.",
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
        "What tells the classes of a user's sockets apart: a claim, such as claim.PlatformID, or subject, for all of them.",
    }),
    max: Type.Integer({ minimum: 1, maximum: 10_000, default: 1, description: "Sockets of one class." }),
    over: choice(["kick_oldest", "refuse"], {
      description: "What is done about one more: the oldest is closed with 4409, or the new one with 4429.",
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
    "A listener for backends that publish to rooms, over gRPC. Without it there is the admin listener.",
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
    protocol: choice(["chat"], { description: "What is spoken on them.", default: "chat" }),
    rest: Type.Optional(
      text("mount", {
        description:
          "Below it GET /rooms, POST /send and POST /receive are served, on every listener. Without it they are not.",
      }),
    ),
    rooms: roomsSchema,
    user_room: Type.Optional(
      text("nonempty", {
        description:
          "The room that is each user's own, such as user-{subject}: their sockets are members of it as soon as they are open, and nobody else can be.",
      }),
    ),
    sessions: Type.Array(sessionRule, {
      description: "How many sockets a user may have of each class, on all gateways.",
      default: [],
    }),
    auth: Type.Optional(
      authReference(
        "Who may open a socket: `none`, or providers of which one must accept. Without it, as `auth.default` says.",
      ),
    ),
    rate_limit: rateLimitReference,
    origins: listOf(text("nonempty", { description: 'An origin such as https://app.example.com, or "*".' }), {
      description:
        'Origins whose pages may open a socket. Without any, only pages of the own origin. Cookies count from these and from clients that are no page, not by "*".',
      default: [],
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
        connect: event("Asked before a socket is opened."),
        join: event("Asked before a client joins a room."),
        message: event("Asked before a message is published."),
        leave: event("Called when a client has left a room."),
        disconnect: event("Called when a socket has closed."),
      },
      "What backends are asked of sockets.",
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
      "What sockets may ask of backends.",
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
  "The listener of WebSockets. It needs the native addon uWebSockets.js.",
);

/** The sections of the configuration that sockets are made of. */
export interface RealtimeSections extends BindingSections {
  readonly realtime?: RealtimeConfig | undefined;
  readonly livekit?: LiveKitConfig | undefined;
  readonly listeners: { readonly realtime?: Loaded<typeof RealtimeListenerSchema> | undefined };
}
