import { authGroup } from "./auth/auth.js";
import { engineGroup } from "./engine/engine.js";
import type { Group } from "./group.js";
import { latencyGroup } from "./latency/latency.js";
import { codecGroup } from "./micro/codec.js";
import { matcherGroup } from "./micro/matcher.js";
import { profileGroup } from "./profile/profile.js";
import { farGroup } from "./realtime/far.js";
import { realtimeGroup } from "./realtime/realtime.js";
import { scaleGroup } from "./realtime/scale.js";
import { sessionsGroup } from "./realtime/sessions.js";
import { realtimeSoakGroup } from "./realtime/soak.js";
import { restGroup } from "./rest/rest.js";
import { soakGroup } from "./soak/soak.js";
import { startGroup } from "./start/start.js";
import { streamsGroup } from "./streams/streams.js";
import { tracingGroup } from "./tracing/tracing.js";
import { transportGroup } from "./transport/transport.js";
import { workersGroup } from "./workers/workers.js";

/** In the order in which they run. */
export const groups: readonly Group[] = [
  codecGroup,
  matcherGroup,
  startGroup,
  transportGroup,
  engineGroup,
  restGroup,
  streamsGroup,
  authGroup,
  tracingGroup,
  latencyGroup,
  realtimeGroup,
  sessionsGroup,
  profileGroup,
  workersGroup,
  soakGroup,
  realtimeSoakGroup,
  scaleGroup,
  farGroup,
];
