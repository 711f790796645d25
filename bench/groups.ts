import type { Group } from "./group.js";
import { codecGroup } from "./micro/codec.js";
import { matcherGroup } from "./micro/matcher.js";
import { profileGroup } from "./profile/profile.js";
import { restGroup } from "./rest/rest.js";

/** In the order in which they run. */
export const groups: readonly Group[] = [codecGroup, matcherGroup, restGroup, profileGroup];
