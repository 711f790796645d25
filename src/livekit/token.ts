import {
  AccessToken,
  type AccessTokenOptions,
  type RoomConfiguration,
  TrackSource,
  type VideoGrant,
} from "livekit-server-sdk";
import { type LiveKitConfig, type LiveKitRouteConfig, projectOf } from "./config.js";
import type { Removals } from "./removals.js";

/** Whose token it is, and for which room. */
export interface TokenSubject {
  readonly room: string;
  readonly identity: string;
  readonly name: string | undefined;
  readonly metadata: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Signs a token: HS256, `iss` the API key, `sub` the identity, `nbf`, `exp`, `video`. */
export type SignToken = (subject: TokenSubject) => Promise<string>;

/** Every call makes an `AccessToken` of its own: two requests share nothing that one could write and the other read. */
export function tokenSigner(
  livekit: LiveKitConfig,
  route: LiveKitRouteConfig,
  removals: Removals,
): SignToken {
  const { api_key, api_secret } = projectOf(livekit, route.project);
  const ttl = wholeSeconds(route.ttl ?? livekit.ttl);
  const profile = livekit.grants[route.grant] ?? {};
  const room = route.room_config === undefined ? undefined : roomConfiguration(route.room_config);
  return subject => {
    const options: AccessTokenOptions = { identity: subject.identity, ttl };
    if (subject.name !== undefined) options.name = subject.name;
    if (subject.metadata !== undefined) options.metadata = subject.metadata;
    if (Object.keys(subject.attributes).length > 0) options.attributes = { ...subject.attributes };
    const token = new AccessToken(api_key, api_secret, options);
    token.addGrant(videoGrant(profile, subject.room));
    if (room !== undefined) token.roomConfig = room;
    if (route.room_preset !== undefined) token.roomPreset = route.room_preset;
    removals.issued(ttl);
    return token.toJwt();
  };
}

type GrantConfig = LiveKitConfig["grants"][string];

const trackSources = {
  camera: TrackSource.CAMERA,
  microphone: TrackSource.MICROPHONE,
  screen_share: TrackSource.SCREEN_SHARE,
  screen_share_audio: TrackSource.SCREEN_SHARE_AUDIO,
} as const;

/** The grant of a profile for one room; a new object each time, because the SDK writes into its argument. */
function videoGrant(profile: GrantConfig, room: string): VideoGrant {
  const { canPublishSources, ...permissions } = profile;
  const grant: VideoGrant = { ...permissions, room };
  if (canPublishSources !== undefined) {
    grant.canPublishSources = canPublishSources.map(source => trackSources[source]);
  }
  return grant;
}

/** The settings of a room that a token makes; only those set: the SDK's own class would print every default too. */
function roomConfiguration(settings: NonNullable<LiveKitRouteConfig["room_config"]>): RoomConfiguration {
  const { empty_timeout, departure_timeout, agents, ...rest } = settings;
  const json = {
    emptyTimeout: empty_timeout && wholeSeconds(empty_timeout),
    departureTimeout: departure_timeout && wholeSeconds(departure_timeout),
    maxParticipants: rest.max_participants,
    metadata: rest.metadata,
    minPlayoutDelay: rest.min_playout_delay,
    maxPlayoutDelay: rest.max_playout_delay,
    syncStreams: rest.sync_streams,
    agents: agents?.map(({ agent_name, metadata }) => ({ agentName: agent_name, metadata })),
  };
  // A token holds the JSON of the message, and nothing else of its class is used.
  return json as unknown as RoomConfiguration;
}

/** Rounded up: a positive duration never becomes 0, which LiveKit takes for its own default. */
export function wholeSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
