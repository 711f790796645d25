import { KnownMistakes, type Unavailable, type WrittenValue } from "../config/unavailable.js";

const isText =
  (pattern: RegExp) =>
  (value: WrittenValue): boolean =>
    value.kind === "scalar" && typeof value.value === "string" && pattern.test(value.value);

/** Where options of services are written. */
const serviceLevels = ["services.*", "services.*.methods.*", "service_defaults"];

const unavailable: readonly Unavailable[] = [
  {
    at: "upstreams.*.targets.*",
    when: value => value.kind === "mapping" || isText(/^(srv|kubernetes|etcd):\/\//)(value),
  },
  {
    at: "upstreams.*.balancing",
    when: value => value.kind === "mapping" && value.keys.includes("hash"),
  },
  { at: "upstreams.*.circuit_breaker" },
  { at: "upstreams.*.outlier" },

  ...serviceLevels.flatMap(level =>
    ["compat", "stream", "metadata.prefix"].map(key => ({ at: `${level}.${key}` })),
  ),
  { at: "http.split" },
];

const misplaced: ReadonlyMap<string, string> = new Map([
  ["livekit.grants.*.room", "a grant has no room; expected it in the route that names the grant"],
  [
    "livekit.routes.*.room_config.egress",
    "a token is readable by its client and must not carry credentials of storage; start egress from a server",
  ],
  [
    "http.rules.*.additional_bindings.*.additional_bindings",
    "additional_bindings do not nest; add a further item to the list of the rule",
  ],
  [
    "http.rules.*.additional_bindings.*.selector",
    "a further route of a rule has no selector; it belongs to the method of the rule",
  ],
]);

/** Parts of the configuration's format that this version does not support, and keys that are often misplaced. */
export const knownMistakes = new KnownMistakes(unavailable, misplaced);
