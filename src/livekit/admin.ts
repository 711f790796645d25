import {
  DataPacket_Kind,
  type ParticipantInfo,
  ParticipantInfo_State,
  type Room,
  RoomServiceClient,
  type TrackInfo,
  TrackSource,
  TrackType,
} from "livekit-server-sdk";
import type { AdminRequest, AdminResponse, AdminRoute } from "../bindings/admin-route.js";
import { invalidField, JsonFields } from "../bindings/json-fields.js";
import { nearest } from "../config/nearest.js";
import { gatewayError } from "../status/failure.js";
import { projectOf } from "./config.js";
import type { LiveKitParts } from "./parts.js";
import { apiUrl, asGatewayError } from "./server-api.js";
import { wholeSeconds } from "./token.js";

/** Seconds that LiveKit may take to respond. */
const requestTimeout = 5;

/** Most bytes of a data message: those that LiveKit sends reliably in one packet. */
const maxDataBytes = 15 * 1024;

const maxInt32 = 2 ** 31 - 1;

const noContent: AdminResponse = { status: 204, body: undefined };

/** Rooms and their participants, for operators and backends. */
export function adminRoutes({ livekit, deps }: LiveKitParts): readonly AdminRoute[] {
  const longestTtl = wholeSeconds(
    Math.max(...livekit.routes.map(({ ttl }) => ttl ?? livekit.ttl), livekit.ttl),
  );
  const clients = new Map<string | undefined, RoomServiceClient>();
  for (const name of [undefined, ...Object.keys(livekit.projects)]) {
    const project = projectOf(livekit, name);
    // Looking for another region would say so on standard error, beside the log.
    const options = { requestTimeout, failover: false };
    clients.set(name, new RoomServiceClient(apiUrl(project), project.api_key, project.api_secret, options));
  }
  const route = (
    method: AdminRoute["method"],
    path: string,
    act: (client: RoomServiceClient, request: AdminRequest, project: string | undefined) => Promise<unknown>,
  ): AdminRoute => ({
    method,
    path: `/livekit/rooms${path}`,
    async handle(request) {
      const project = request.query.get("project") ?? undefined;
      const client = clients.get(project);
      if (client === undefined) throw unknownProject(project, Object.keys(livekit.projects));
      const body = await asGatewayError(act(client, request, project));
      return body === undefined ? noContent : { status: 200, body };
    },
  });
  return [
    route("GET", "", async client => ({ rooms: (await client.listRooms()).map(roomView) })),
    route("POST", "", async (client, { body }) => {
      const read = new JsonFields(body, [
        "name",
        "empty_timeout",
        "departure_timeout",
        "max_participants",
        "metadata",
      ]);
      const options = {
        name: filledText(read, "name", 256),
        ...defined({
          emptyTimeout: read.integer("empty_timeout", 0, maxInt32),
          departureTimeout: read.integer("departure_timeout", 0, maxInt32),
          maxParticipants: read.integer("max_participants", 0, maxInt32),
          metadata: read.optionalText("metadata"),
        }),
      };
      return roomView(await client.createRoom(options));
    }),
    route("DELETE", "/:room", async (client, { parameters: { room = "" } }) => {
      await client.deleteRoom(room);
      deps.log("info", { room }, "LiveKit room ended");
    }),
    route("POST", "/:room/data", async (client, { parameters: { room = "" }, body }) => {
      const read = new JsonFields(body, ["data", "topic", "identities", "reliable"]);
      const data = Buffer.from(filledText(read, "data", maxDataBytes));
      const kind = (read.flag("reliable") ?? true) ? DataPacket_Kind.RELIABLE : DataPacket_Kind.LOSSY;
      const options = defined({
        topic: read.optionalText("topic"),
        destinationIdentities: read.optionalTexts("identities"),
      });
      await client.sendData(room, data, kind, options);
    }),
    route("GET", "/:room/participants", async (client, { parameters: { room = "" } }) => ({
      participants: (await client.listParticipants(room)).map(participantView),
    })),
    route(
      "DELETE",
      "/:room/participants/:identity",
      async (client, { parameters: { room = "", identity = "" } }, project) => {
        // Also where LiveKit does not have the participant now: a token may be under way.
        deps.removals.add(project, room, identity, longestTtl);
        await client.removeParticipant(room, identity, { revokeTokenTs: revocation() });
        deps.log("info", { room, identity }, "LiveKit participant removed");
      },
    ),
    route(
      "POST",
      "/:room/participants/:identity/mute",
      async (client, { parameters: { room = "", identity = "" }, body }) => {
        const read = new JsonFields(body, ["track", "muted"]);
        const muted = read.flag("muted") ?? true;
        const requested = read.optionalText("track");
        const { tracks } = await client.getParticipant(room, identity);
        const chosen = tracks.filter(({ sid, type }) =>
          requested === undefined ? type === TrackType.AUDIO : sid === requested,
        );
        if (requested !== undefined && chosen.length === 0) {
          const sids = tracks.map(({ sid }) => sid).join(", ");
          throw invalidField("track", `no track of the participant; it has ${sids || "none"}`);
        }
        const changed: unknown[] = [];
        for (const { sid } of chosen)
          changed.push(trackView(await client.mutePublishedTrack(room, identity, sid, muted)));
        return { tracks: changed };
      },
    ),
    route(
      "POST",
      "/:room/participants/:identity/move",
      async (client, { parameters: { room = "", identity = "" }, body }) => {
        await client.moveParticipant(room, identity, filledText(new JsonFields(body, ["to"]), "to", 256));
      },
    ),
  ];
}

function unknownProject(name: string | undefined, names: readonly string[]) {
  const near = name === undefined ? undefined : nearest(name, names);
  const hint = near === undefined ? "" : `; did you mean ${JSON.stringify(near)}?`;
  const message = `project: there is no project ${JSON.stringify(name?.slice(0, 64))}${hint}`;
  return gatewayError("UNKNOWN_PARAMETER", message);
}

/** Only the members that are not undefined. */
function defined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** @throws GatewayError INVALID_VALUE where it is missing, empty or has more bytes */
function filledText(read: JsonFields, name: string, maxBytes: number): string {
  const value = read.text(name);
  if (value === "") throw invalidField(name, "must not be empty");
  if (Buffer.byteLength(value) > maxBytes) throw invalidField(name, `must have at most ${maxBytes} bytes`);
  return value;
}

/**
 * From when on tokens are good again; those of this second count as old too. LiveKit Cloud refuses older ones, the
 * open-source server ignores it.
 */
function revocation(): bigint {
  return BigInt(Math.floor(Date.now() / 1000) + 1);
}

function roomView({
  name,
  sid,
  numParticipants,
  maxParticipants,
  creationTime,
  metadata,
  activeRecording,
}: Room) {
  return {
    name,
    sid,
    participants: numParticipants,
    max_participants: maxParticipants,
    created_at: timeOf(creationTime),
    recording: activeRecording,
    metadata,
  };
}

function participantView({ identity, name, state, joinedAt, tracks }: ParticipantInfo) {
  return {
    identity,
    name,
    state: ParticipantInfo_State[state].toLowerCase(),
    joined_at: timeOf(joinedAt),
    tracks: tracks.map(trackView),
  };
}

function trackView({ sid, name, type, source, muted }: TrackInfo) {
  return {
    sid,
    name,
    type: TrackType[type].toLowerCase(),
    source: TrackSource[source].toLowerCase(),
    muted,
  };
}

function timeOf(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString();
}
