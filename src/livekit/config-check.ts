import { checkProviderNames } from "../auth/config.js";
import { checkReference } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import { oneOf } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import { checkLimitNames } from "../limits/config.js";
import type { LiveKitConfig, LiveKitRouteConfig, LiveKitSections } from "./config.js";
import { tokenRouteMethods } from "./config.js";
import { nearestSource, parseSource, sourceExpectation } from "./value-source.js";
export function checkLiveKit(draft: DraftOf<LiveKitSections>, findings: Findings): void {
  const { livekit } = draft;
  if (livekit === undefined) return;
  for (const key of ["url", "api_url"] as const) checkUrl(["livekit", key], livekit[key], findings);
  livekit.routes?.forEach((route, index) => {
    if (route !== undefined) checkRoute(["livekit", "routes", index], route, draft, findings);
  });
  checkWebhook(livekit.webhook, draft, findings);
}

function checkUrl(at: Path, text: string | undefined, findings: Findings): void {
  if (text === undefined) return;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const known = url !== undefined && ["ws:", "wss:", "http:", "https:"].includes(url.protocol);
  const bare = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (known && bare) return;
  const expected = "expected the address of a LiveKit server such as wss://livekit.example.com";
  const why = known ? "; clients see it, so it has no credentials and no query" : "";
  // An address with a password in it would be repeated here.
  const found = known ? "" : `, found ${findings.show(at, text)}`;
  findings.error(at, `${expected}${found}${why}`);
}

type Route = DraftOf<LiveKitRouteConfig>;

function checkRoute(at: Path, route: Route, draft: DraftOf<LiveKitSections>, findings: Findings): void {
  const found = tokenRouteMethods.filter(key => key in route);
  if (found.length !== 1) {
    const expected = `expected exactly one of ${oneOf(tokenRouteMethods)}`;
    findings.error(at, `${expected}, found ${found.length === 0 ? "none" : found.join(" and ")}`);
  }
  checkReference("grant", [...at, "grant"], route.grant, draft.livekit?.grants, findings);
  const { authorize } = route;
  checkReference(
    "upstream",
    [...at, "authorize", "upstream"],
    authorize?.upstream,
    draft.upstreams,
    findings,
  );
  checkProviderNames([...at, "auth"], route.auth, draft.auth?.providers, findings);
  checkLimitNames([...at, "rate_limit"], route.rate_limit, draft.rate_limits, findings);
  const anonymous = (route.auth ?? draft.auth?.default) === "none";
  checkSources(at, route, anonymous, findings);
  checkIdentity(at, route, anonymous, findings);
}

function checkSources(at: Path, route: Route, anonymous: boolean, findings: Findings): void {
  const parts = (["room", "identity", "name", "metadata"] as const).map((key): [Path, string | undefined] => [
    [...at, key],
    route[key],
  ]);
  const attributes = Object.entries(route.attributes ?? {}).map(
    ([name, text]): [Path, string | undefined] => [[...at, "attributes", name], text],
  );
  for (const [path, text] of [...parts, ...attributes]) {
    if (text === undefined) continue;
    const source = parseSource(text);
    if (source === undefined) {
      const suggestion = findings.isSecret(path) ? undefined : nearestSource(text);
      const message = `expected ${sourceExpectation}, found ${findings.show(path, text)}`;
      findings.error(path, message, { suggestion });
    } else if (source.kind === "body" && "get" in route) {
      findings.error(path, "a GET request has no body; expected a value of path, query or claims");
    } else if (anonymous && (source.kind === "subject" || source.kind === "claim")) {
      const message = `this route does not authenticate callers, so there is no ${source.kind}; expected auth`;
      findings.error(path, message);
    }
  }
}

function checkIdentity(at: Path, route: Route, anonymous: boolean, findings: Findings): void {
  const source = parseSource(route.identity ?? "");
  if (source?.kind === "literal") {
    const why = "LiveKit disconnects whoever has joined with the same identity before";
    findings.error([...at, "identity"], `expected an identity of the caller's own; ${why}`);
  } else if (anonymous && source?.kind !== "subject" && route.allow_other_identities !== true) {
    const why = "this route does not authenticate callers, so anybody could take any identity";
    findings.error(at, `${why}; expected auth, or allow_other_identities: true`);
  }
}

function checkWebhook(
  webhook: DraftOf<LiveKitConfig["webhook"]>,
  draft: DraftOf<LiveKitSections>,
  findings: Findings,
): void {
  const at = ["livekit", "webhook"];
  checkReference("upstream", [...at, "call", "upstream"], webhook?.call?.upstream, draft.upstreams, findings);
  const room = webhook?.publish?.room;
  const placeholders = room?.match(/\{[^}]*\}?/g) ?? [];
  for (const placeholder of placeholders) {
    if (["{room}", "{identity}", "{event}"].includes(placeholder)) continue;
    const path = [...at, "publish", "room"];
    const found = findings.isSecret(path) ? "" : `, found ${placeholder.slice(0, 80)}`;
    findings.error(path, `expected {room}, {identity} or {event}${found}`);
  }
}
