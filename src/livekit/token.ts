import { AccessToken, type AccessTokenOptions } from "livekit-server-sdk";
import type { LiveKitConfig, LiveKitRouteConfig } from "../config/schema.js";
import { roomConfiguration, videoGrant, wholeSeconds } from "./grant.js";
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
  const { api_key, api_secret } = livekit;
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
