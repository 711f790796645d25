import type { AuthConfig } from "../auth/config.js";
import { authReference } from "../auth/config.js";
import type { Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, section, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { dialectNames } from "../dialects/dialects.js";
import type { RateLimitsConfig } from "../limits/config.js";
import type { UpstreamsConfig } from "../upstream/config.js";

const permission = (description: string) => Type.Optional(Type.Boolean({ description }));

/** LiveKit's `VideoGrant` without `room`, which the route sets. Names are LiveKit's own. */
const GrantSchema = mapping(
  {
    roomJoin: permission("Join the room."),
    canPublish: permission("Publish tracks."),
    canPublishSources: Type.Optional(
      listOf(
        choice(["camera", "microphone", "screen_share", "screen_share_audio"], {
          description: "A kind of track.",
        }),
        { description: "The only kinds of tracks that may be published." },
      ),
    ),
    canSubscribe: permission("Receive the tracks of others."),
    canPublishData: permission("Send data messages."),
    canUpdateOwnMetadata: permission("Change the participant's own name, metadata and attributes."),
    canSubscribeMetrics: permission("Receive metrics of the room."),
    canManageAgentSession: permission("Manage the session of an agent."),
    hidden: permission("Stay invisible to the others."),
    recorder: permission("Count as a recorder, so that the room shows that it is recorded."),
    agent: permission("Connect as a worker of LiveKit's agent framework."),
    roomAdmin: permission("Moderate the room: mute, remove, change metadata."),
    roomCreate: permission("Create and delete rooms, whatever their name."),
    roomList: permission("List all rooms."),
    roomRecord: permission("Record any room."),
    ingressAdmin: permission("Manage every ingress."),
    destinationRoom: Type.Optional(
      text("nonempty", { description: "The room that the participant may be forwarded to." }),
    ),
  },
  "What a token allows. What is left out is as LiveKit has it; the room is the route's.",
);

const seconds = (description: string) => Type.Optional(duration({ description }, 1000));

/** The part of LiveKit's `RoomConfiguration` that clients may read: the content of a token is not secret. */
const RoomSettingsSchema = mapping(
  {
    empty_timeout: seconds("How long the room stays when nobody joins."),
    departure_timeout: seconds("How long the room stays when everybody has left."),
    max_participants: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: "Most participants." }),
    ),
    metadata: Type.Optional(text("any", { description: "Metadata of the room." })),
    min_playout_delay: Type.Optional(duration({ description: "Least delay of playing." }, 0)),
    max_playout_delay: Type.Optional(duration({ description: "Largest delay of playing." }, 0)),
    sync_streams: Type.Optional(Type.Boolean({ description: "Keep sound and picture together." })),
    agents: Type.Optional(
      Type.Array(
        mapping(
          {
            agent_name: text("nonempty", { description: "Name of the agent." }),
            metadata: Type.Optional(text("any", { description: "Metadata of the agent." })),
          },
          "An agent to dispatch to the room.",
        ),
        { description: "Agents to dispatch to the room." },
      ),
    ),
  },
  "The settings of the room if the token is the first to join it. Clients can read it, so it must have no credentials.",
);

const sourceForms =
  "`body.<field>`, `path.<variable>`, `query.<parameter>`, `claim.<name>`, `subject` or `literal.<text>`";

const source = (what: string) =>
  text("nonempty", { description: `Where ${what} comes from: ${sourceForms}.` });

const template = (method: string) =>
  Type.Optional(text("template", { description: `Path template of a ${method} route.` }));

/** The keys of a route of which there is exactly one. */
export const tokenRouteMethods = ["get", "post", "put"] as const;
export const actionMethods = ["post", "put", "delete"] as const;

const rpcMethod = text("rpcMethod", { description: "The unary method, `package.Service/Method`." });

const AuthorizeSchema = mapping(
  {
    upstream: text("nonempty", { description: "Name of an upstream." }),
    method: rpcMethod,
    room_field: text("nonempty", {
      description: "The request field that gets the room; dots lead into messages.",
      default: "room",
    }),
    identity_field: text("nonempty", {
      description: "The request field that gets the identity.",
      default: "identity",
    }),
    timeout: Type.Optional(duration({ description: "Deadline of the call, in place of the upstream's." })),
  },
  "A method that is called before each token; any status but OK refuses, and the client gets that status.",
);

const OtherIdentities = Type.Union(
  [
    Type.Literal(true),
    Type.Literal(false),
    mapping(
      {
        scopes: Type.Array(text("nonempty", { description: "A scope." }), {
          minItems: 1,
          description: "Scopes that the caller must have, all of them.",
        }),
      },
      "Only for callers with these scopes.",
    ),
  ],
  {
    default: false,
    description:
      "Issue tokens for other identities than the caller's own subject: `true`, or to callers with certain scopes.",
  },
);

/** Common to routes that issue tokens and routes that start objects: who may use them, for which room. */
const admission = {
  room: source("the room"),
  identity: text("nonempty", {
    description: `Where the participant's identity comes from: ${sourceForms}.`,
    default: "subject",
  }),
  project: Type.Optional(text("nonempty", { description: "Name under `livekit.projects`." })),
  allow_other_identities: OtherIdentities,
  authorize: Type.Optional(AuthorizeSchema),
  auth: Type.Optional(
    authReference("Authentication: `none`, or providers of which one must accept. Left out: `auth.default`."),
  ),
  rate_limit: Type.Optional(text("nonempty", { description: "Name under `rate_limits`." })),
  errors: choice(dialectNames, {
    description: "The body of an error, as for services.",
    default: "status",
  }),
};

const TokenRouteSchema = mapping(
  {
    get: template("GET"),
    post: template("POST"),
    put: template("PUT"),
    ...admission,
    grant: text("nonempty", { description: "Name under `livekit.grants`." }),
    ttl: Type.Optional(duration({ description: "In place of `livekit.ttl`." }, 1000)),
    name: Type.Optional(source("the display name")),
    metadata: Type.Optional(source("the participant's metadata")),
    attributes: Type.Record(
      Type.String({ pattern: "^[^\\u0000-\\u001f]{1,128}$" }),
      source("the attribute"),
      {
        default: {},
        propertyNames: { description: "the name of an attribute, at most 128 characters" },
        description: `The participant's attributes by name, each from ${sourceForms}.`,
      },
    ),
    room_config: Type.Optional(RoomSettingsSchema),
    room_preset: Type.Optional(
      text("nonempty", { description: "Name of a room configuration that the LiveKit server has." }),
    ),
    response: section(
      {
        url: text("nonempty", {
          description: "Name of the field with the URL.",
          default: "serverUrl",
        }),
        jwt: text("nonempty", { description: "Name of the field with the token.", default: "token" }),
      },
      "The fields of the response.",
    ),
  },
  "A route that responds with a token for one room and one identity.",
  { oneOf: tokenRouteMethods.map(key => ({ required: [key] })) },
);

/** Methods of LiveKit's server API that a route may call. */
export const actionCalls = [
  "StartRoomCompositeEgress",
  "StartParticipantEgress",
  "StartTrackCompositeEgress",
  "StartTrackEgress",
  "StopEgress",
  "CreateIngress",
  "DeleteIngress",
  "CreateSIPParticipant",
] as const;

const ActionSchema = mapping(
  {
    post: template("POST"),
    put: template("PUT"),
    delete: template("DELETE"),
    ...admission,
    call: choice(actionCalls, { description: "The method of LiveKit's server API." }),
    fields: Type.Record(Type.String({ pattern: "^[a-z][A-Za-z0-9_.[\\]]{0,255}$" }), source("the field"), {
      default: {},
      propertyNames: { description: "a field of the request message, such as file_outputs[0].filepath" },
      description: `Fields of the request message beside room and identity, each from ${sourceForms}.`,
    }),
    response: Type.Optional(
      listOf(text("nonempty", { description: "A field of LiveKit's response." }), {
        description: "The fields of LiveKit's response that the caller gets, in place of the usual ones.",
      }),
    ),
    timeout: duration({ description: "How long LiveKit may take.", default: "10s" }, 1000),
  },
  "A route that starts or ends an egress, an ingress or a phone call of one room.",
  { oneOf: actionMethods.map(key => ({ required: [key] })) },
);

const WebhookSchema = mapping(
  {
    path: text("template", { description: "The path that LiveKit posts its events to, without variables." }),
    publish: Type.Optional(
      mapping(
        {
          room: text("nonempty", {
            description:
              "The realtime room, such as `livekit:{room}`; {room}, {identity} and {event} are the event's own. An event without one of them is not published.",
          }),
          from: text("nonempty", { description: "The sender of the message.", default: "livekit" }),
        },
        "Send the event to the members of a realtime room.",
      ),
    ),
    call: Type.Optional(
      mapping(
        {
          upstream: text("nonempty", { description: "Name of an upstream." }),
          method: rpcMethod,
          timeout: Type.Optional(
            duration({ description: "Deadline of the call, in place of the upstream's." }),
          ),
        },
        "Call a method whose request is the event, read as ProtoJSON; fields that it does not have are left out.",
      ),
    ),
  },
  "Receives LiveKit's webhooks. The response is 200 when everything here has succeeded; else LiveKit sends the event again.",
);

const keyPair = {
  api_key: text("secret", { description: "The API key, the issuer of tokens." }),
  api_secret: text("secret", {
    description: "The API secret, at least 32 characters, that signs tokens.",
  }),
};

/** One LiveKit server, or one project of LiveKit Cloud. */
const project = {
  url: text("nonempty", { description: "What clients connect to, such as wss://livekit.example.com." }),
  api_url: Type.Optional(
    text("nonempty", { description: "Where the gateway reaches LiveKit's server API, in place of `url`." }),
  ),
  ...keyPair,
  previous_keys: Type.Array(mapping(keyPair, "A key that is being replaced."), {
    default: [],
    description: "Keys with which webhooks may still be signed, while keys are rotated. They sign nothing.",
  }),
};

export const LiveKitSchema = mapping(
  {
    ...project,
    projects: Type.Record(
      Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }),
      mapping(project, "A further LiveKit server."),
      {
        default: {},
        propertyNames: {
          description: "letters, digits, _, - and ., a letter or digit first, at most 63 characters",
        },
        description: "Further LiveKit servers or projects, by the name that routes choose them by.",
      },
    ),
    ttl: duration(
      {
        description: "How long a token can be used to join. Participants who have joined stay.",
        default: "10m",
      },
      1000,
    ),
    grants: Type.Record(Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }), GrantSchema, {
      default: {},
      propertyNames: {
        description: "letters, digits, _, - and ., a letter or digit first, at most 63 characters",
      },
      description: "Grants of tokens by name. Routes and metrics use these names.",
    }),
    routes: Type.Array(TokenRouteSchema, { default: [], description: "Routes that issue tokens." }),
    actions: Type.Array(ActionSchema, {
      default: [],
      description: "Routes that start or end an egress, an ingress or a phone call.",
    }),
    webhook: Type.Optional(WebhookSchema),
  },
  "Tokens, webhooks and rooms of a LiveKit server.",
);

export type LiveKitConfig = Loaded<typeof LiveKitSchema>;
export type LiveKitRouteConfig = LiveKitConfig["routes"][number];
export type LiveKitActionConfig = LiveKitConfig["actions"][number];
/** Of one server: the section itself, or one of its `projects`. */
export type LiveKitProject = Pick<
  LiveKitConfig,
  "url" | "api_url" | "api_key" | "api_secret" | "previous_keys"
>;

/** @param name undefined: the section's own. Loading has checked that it exists. */
export function projectOf(livekit: LiveKitConfig, name: string | undefined): LiveKitProject {
  return (name === undefined ? undefined : livekit.projects[name]) ?? livekit;
}
export type LiveKitWebhookConfig = NonNullable<LiveKitConfig["webhook"]>;

/** The sections of the configuration that LiveKit's routes and webhook are made of. */
export interface LiveKitSections {
  readonly livekit?: LiveKitConfig | undefined;
  readonly upstreams: UpstreamsConfig;
  readonly auth: AuthConfig;
  readonly rate_limits: RateLimitsConfig;
}
