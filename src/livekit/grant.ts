import { RoomConfiguration, TrackSource, type VideoGrant } from "livekit-server-sdk";
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

/** What a room that a token makes is like. */
export function roomConfiguration(
  settings: NonNullable<LiveKitRouteConfig["room_config"]>,
): RoomConfiguration {
  return new RoomConfiguration({
    emptyTimeout: wholeSeconds(settings.empty_timeout ?? 0),
    departureTimeout: wholeSeconds(settings.departure_timeout ?? 0),
    maxParticipants: settings.max_participants ?? 0,
    metadata: settings.metadata ?? "",
    minPlayoutDelay: settings.min_playout_delay ?? 0,
    maxPlayoutDelay: settings.max_playout_delay ?? 0,
    syncStreams: settings.sync_streams ?? false,
    agents: (settings.agents ?? []).map(({ agent_name, metadata }) => ({
      agentName: agent_name,
      metadata: metadata ?? "",
    })),
  });
}

/** Rounded up: what is longer than nothing never becomes 0, which LiveKit takes for its own default. */
export function wholeSeconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
