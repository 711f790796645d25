import {
  type ParticipantInfo,
  ParticipantInfo_State,
  RoomServiceClient,
  ServerError,
} from "livekit-server-sdk";
import type { AdminRoute } from "../bindings/admin-route.js";
import { Code } from "../status/code.js";
import { GatewayError, gatewayFailure, upstreamFailure } from "../status/failure.js";
import type { LiveKitParts } from "./parts.js";
import { wholeSeconds } from "./token.js";

/** Seconds that LiveKit may take to answer. */
const requestTimeout = 5;

/** Who is in a room, and putting somebody out of it. */
export function adminRoutes({ livekit, deps }: LiveKitParts): readonly AdminRoute[] {
  const { api_url, url, api_key, api_secret } = livekit;
  const longestTtl = wholeSeconds(
    Math.max(...livekit.routes.map(({ ttl }) => ttl ?? livekit.ttl), livekit.ttl),
  );
  // Looking for another region would say so on standard error, beside the log.
  const client = new RoomServiceClient(api_url ?? url, api_key, api_secret, {
    requestTimeout,
    failover: false,
  });
  return [
    {
      method: "GET",
      path: "/livekit/rooms/:room/participants",
      async handle({ parameters: { room = "" } }) {
        const participants = await asked(client.listParticipants(room));
        return { status: 200, body: { participants: participants.map(participantView) } };
      },
    },
    {
      method: "DELETE",
      path: "/livekit/rooms/:room/participants/:identity",
      async handle({ parameters: { room = "", identity = "" } }) {
        // Also where LiveKit does not have the participant now: a token may be under way.
        deps.removals.add(room, identity, longestTtl);
        await asked(client.removeParticipant(room, identity, { revokeTokenTs: revocation() }));
        deps.log("info", { room, identity }, "LiveKit participant removed");
        return { status: 204, body: undefined };
      },
    },
  ];
}

/**
 * From when on tokens are good again; those of this second count as old too. LiveKit Cloud refuses older ones, the
 * open-source server ignores it.
 */
function revocation(): bigint {
  return BigInt(Math.floor(Date.now() / 1000) + 1);
}

function participantView({ identity, name, state, joinedAt }: ParticipantInfo): unknown {
  return {
    identity,
    name,
    state: ParticipantInfo_State[state].toLowerCase(),
    joined_at: new Date(Number(joinedAt) * 1000).toISOString(),
  };
}

/** @throws GatewayError by rejection where LiveKit cannot be reached or answers with an error */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new GatewayError(failureOf(error));
  }
}

function failureOf(error: unknown) {
  if (error instanceof ServerError) {
    const code = codes.get(error.code ?? "");
    if (code !== undefined) return upstreamFailure(code, error.message.slice(0, 256), undefined);
    const message = `the LiveKit server answered ${error.status}${error.code === undefined ? "" : ` ${error.code}`}`;
    return gatewayFailure("UPSTREAM_PROTOCOL", `${message}; are address, key and secret right?`);
  }
  if (error instanceof Error && error.name === "TimeoutError") {
    return gatewayFailure("UPSTREAM_TIMEOUT", "the LiveKit server did not answer in time");
  }
  return gatewayFailure("UPSTREAM_UNAVAILABLE", "the LiveKit server could not be reached");
}

/** Twirp's codes that say something about the request; the others are a matter of gateway and server. */
const codes: ReadonlyMap<string, number> = new Map([
  ["invalid_argument", Code.INVALID_ARGUMENT],
  ["malformed", Code.INVALID_ARGUMENT],
  ["not_found", Code.NOT_FOUND],
  ["already_exists", Code.ALREADY_EXISTS],
  ["resource_exhausted", Code.RESOURCE_EXHAUSTED],
  ["failed_precondition", Code.FAILED_PRECONDITION],
  ["unavailable", Code.UNAVAILABLE],
]);
