interface Unavailable {
  /** Where: keys joined by dots, `*` for a list index or for a name that the user chooses. */
  readonly at: string;
  /** Which of the written values; without it the key itself is unavailable. Lists and mappings come as `undefined`. */
  readonly when?: (value: unknown) => boolean;
}

const anyOf =
  (...words: readonly string[]) =>
  (value: unknown) =>
    typeof value === "string" && words.includes(value);

/** Where options of services are written. */
const serviceLevels = ["services.*", "services.*.methods.*", "service_defaults"];

/** Everything that belongs to the format of the configuration but that this version does not do. */
const unavailable: readonly Unavailable[] = [
  { at: "upstreams.*.protocol", when: anyOf("trpc") },
  { at: "upstreams.*.circuit_breaker" },
  { at: "upstreams.*.outlier" },
  ...["http2", "name", "hosts", "redirect_to_https", "proxy_protocol"].map(key => ({
    at: `listeners.http.${key}`,
  })),
  ...["http", "realtime", "admin"].map(name => ({ at: `listeners.${name}.tls.min_version` })),
  ...["token", "client_ca"].map(key => ({ at: `listeners.admin.${key}` })),
  { at: "include" },
  ...serviceLevels.flatMap(level =>
    ["compat", "protocols", "stream", "metadata.prefix"].map(key => ({ at: `${level}.${key}` })),
  ),
  ...["hosts", "split", "compression", "uploads", "docs"].map(key => ({ at: `http.${key}` })),
  { at: "telemetry.tracing" },
  { at: "server.workers", when: value => value === "auto" || (typeof value === "number" && value > 1) },
  { at: "reload" },
];

/** Keys that are known where they are not allowed, and what to do instead. */
const misplaced: ReadonlyMap<string, string> = new Map([
  ["livekit.grants.*.room", "a grant has no room; the route that names the grant says which"],
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

const keys = new Set(unavailable.filter(entry => entry.when === undefined).map(entry => entry.at));
const values = new Map(
  unavailable.flatMap(({ at, when }) => (when === undefined ? [] : [[at, when] as const])),
);

/** Why a key of the mapping at `at` that the schema does not have is refused; undefined: it is unknown. */
export function refusedKey(at: string, key: string): string | undefined {
  const full = at === "" ? key : `${at}.${key}`;
  if (keys.has(full)) return `"${key}" is not available in this version`;
  return misplaced.get(full);
}

/** True where the value belongs to the format but not to this version. `undefined` stands for a list or mapping. */
export function isUnavailableValue(at: string, value: unknown): boolean {
  return values.get(at)?.(value) ?? false;
}
