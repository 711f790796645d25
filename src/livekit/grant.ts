import { type RoomConfiguration, TrackSource, type VideoGrant } from "livekit-server-sdk";
import type { LiveKitConfig, LiveKitRouteConfig } from "../config/schema.js";

type GrantConfig = LiveKitConfig["grants"][string];

const trackSources = {
  camera: TrackSource.CAMERA,
  microphone: TrackSource.MICROPHONE,
  screen_share: TrackSource.SCREEN_SHARE,
  screen_share_audio: TrackSource.SCREEN_SHARE_AUDIO,
} as const;

/** The grant of a profile for one room; a new object each time, because the SDK writes into what it is given. */
export function videoGrant(profile: GrantConfig, room: string): VideoGrant {
  const { canPublishSources, ...permissions } = profile;
  const grant: VideoGrant = { ...permissions, room };
  if (canPublishSources !== undefined) {
    grant.canPublishSources = canPublishSources.map(source => trackSources[source]);
  }
  return grant;
}

/** What a room that a token makes is like. Only what is set: the SDK's own class would print every default too. */
export function roomConfiguration(
  settings: NonNullable<LiveKitRouteConfig["room_config"]>,
): RoomConfiguration {
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

/** Rounded up: what is longer than nothing never becomes 0, which LiveKit takes for its own default. */
export function wholeSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
