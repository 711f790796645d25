import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import { Formats } from "../config/format.js";
import { nearest } from "../config/nearest.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { listOf, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { coversHosts, readHostPattern } from "../net/host-table.js";

const HostSchema = mapping(
  {
    services: Type.Optional(
      listOf(text("servicePattern", { description: "`package.Service`, or `package.**`." }), {
        description: "RPC services that are served here, by REST and by all protocols that they have.",
      }),
    ),
    routes: Type.Optional(
      listOf(text("template", { description: "A glob over paths, such as `/chat/**`." }), {
        description:
          "Routes that are served here beside those services, by globs over their paths: `*` for any text of a segment, `**` for any segments. So come prefixes of `http.proxy`, the path of the sockets and other routes of the gateway itself.",
      }),
    ),
    docs: Type.Optional(
      Type.Boolean({
        description:
          "Whether the documents of `http.docs` are served here. They show what this host serves. Left out, they are.",
      }),
    ),
  },
  "What a host serves. Without `services` and `routes`, everything.",
);

/** `http.hosts`. */
export const HostsSchema = Type.Record(
  Type.String({ pattern: Formats.hostPattern.pattern as string }),
  HostSchema,
  {
    propertyNames: { description: Formats.hostPattern.expected },
    description:
      "What is served at which host (Host, or :authority): `api.example.com`, `*.example.com` for all names below, `*` for all others. The most specific entry holds. Requests for a host without one get 421. Left out, everything is served at every host.",
  },
);

export type HostsConfig = Loaded<typeof HostsSchema>;
export type HostConfig = HostsConfig[string];

/** Entries of `http.hosts`. */
const maxHosts = 1000;

/** An HTTP listener, as far as hosts go. */
interface HostListener {
  readonly at: Path;
  /** Undefined where it serves every host. */
  readonly hosts: readonly (string | undefined)[] | undefined;
}

/** @param listeners those that serve routes */
export function checkHosts(
  hosts: DraftOf<HostsConfig> | undefined,
  listeners: readonly HostListener[],
  findings: Findings,
): void {
  if (hosts === undefined) return;
  const at = ["http", "hosts"];
  const keys = Object.keys(hosts);
  if (keys.length > maxHosts)
    findings.error(at, `expected at most ${maxHosts} hosts, found ${keys.length}; "*.example.com" is many`);
  const first = new Map<string, string>();
  for (const [key, host] of Object.entries(hosts)) {
    const pattern = readHostPattern(key);
    if (pattern === undefined) {
      const { expected } = Formats.hostPattern;
      const suggestion = readHostPattern(key.replace(/:\d+$/, ""));
      findings.error([...at, key], `"${key}" is no host; expected ${expected}`, { suggestion });
      continue;
    }
    const earlier = first.get(pattern);
    if (earlier !== undefined) findings.error([...at, key], `"${key}" is the same host as "${earlier}"`);
    first.set(pattern, earlier ?? key);
    if (host !== undefined) checkHost([...at, key], host, findings);
  }
  checkListenerHosts(first, listeners, findings);
}

function checkHost(at: Path, { services, routes }: DraftOf<HostConfig>, findings: Findings): void {
  const written = [services, routes].filter(list => list !== undefined);
  if (written.length > 0 && written.every(list => list.length === 0))
    findings.error(at, "nothing is served here; expected services or routes, or {} for everything");
  routes?.forEach((route, index) => {
    if (route?.split("/").some(segment => segment.includes("**") && segment !== "**"))
      findings.error([...at, "routes", index], '"**" is a whole segment; within a segment use "*"');
  });
}

/** The routes of a listener must be served at some host, and each host by some listener. */
function checkListenerHosts(
  hosts: ReadonlyMap<string, string>,
  listeners: readonly HostListener[],
  findings: Findings,
): void {
  const patterns = [...hosts.keys()];
  const meets = (one: string, other: string): boolean => coversHosts(one, other) || coversHosts(other, one);
  for (const { at, hosts: list } of listeners)
    list?.forEach((host, index) => {
      if (host === undefined || patterns.some(pattern => meets(pattern, host))) return;
      const path = [...at, "hosts", index];
      const suggestion = nearest(host, patterns);
      findings.error(
        path,
        `http.hosts serves nothing at ${findings.show(path, host)}; expected a host of it`,
        {
          suggestion,
        },
      );
    });
  if (listeners.length === 0 || listeners.some(({ hosts: list }) => list === undefined)) return;
  const listened = listeners.flatMap(({ hosts: list }) => list ?? []);
  for (const [pattern, key] of hosts)
    if (!listened.some(host => host === undefined || meets(host, pattern)))
      findings.warning(["http", "hosts", key], `no listener of listeners.http has "${key}" among its hosts`);
}
