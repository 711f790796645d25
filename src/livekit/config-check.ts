import { checkProviderNames } from "../auth/config.js";
import { checkReference } from "../config/check.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import { oneOf } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import { checkLimitNames } from "../limits/config.js";
import type { LiveKitActionConfig, LiveKitConfig, LiveKitRouteConfig, LiveKitSections } from "./config.js";
import { actionMethods, tokenRouteMethods } from "./config.js";
import { nearestSource, parseSource, sourceExpectation } from "./value-source.js";
export function checkLiveKit(draft: DraftOf<LiveKitSections>, findings: Findings): void {
  const { livekit } = draft;
  if (livekit === undefined) return;
  for (const key of ["url", "api_url"] as const) checkUrl(["livekit", key], livekit[key], findings);
  for (const [name, project] of Object.entries(livekit.projects ?? {})) {
    for (const key of ["url", "api_url"] as const)
      checkUrl(["livekit", "projects", name, key], project?.[key], findings);
  }
  livekit.routes?.forEach((route, index) => {
    if (route !== undefined) checkTokenRoute(["livekit", "routes", index], route, draft, findings);
  });
  livekit.actions?.forEach((action, index) => {
    if (action !== undefined) checkAction(["livekit", "actions", index], action, draft, findings);
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

type TokenRoute = DraftOf<LiveKitRouteConfig>;
type Action = DraftOf<LiveKitActionConfig>;
type Draft = DraftOf<LiveKitSections>;

function checkTokenRoute(at: Path, route: TokenRoute, draft: Draft, findings: Findings): void {
  checkMethod(at, route, tokenRouteMethods, findings);
  checkReference("grant", [...at, "grant"], route.grant, draft.livekit?.grants, findings);
  const parts = (["room", "identity", "name", "metadata"] as const).map((key): [Path, string | undefined] => [
    [...at, key],
    route[key],
  ]);
  const attributes = Object.entries(route.attributes ?? {}).map(
    ([name, text]): [Path, string | undefined] => [[...at, "attributes", name], text],
  );
  const anonymous = checkAdmission(at, route, draft, findings);
  checkSources([...parts, ...attributes], "get" in route ? "GET" : undefined, anonymous, findings);
  if (parseSource(route.identity ?? "")?.kind === "literal") {
    const why = "LiveKit disconnects a participant that has joined with the same identity before";
    findings.error([...at, "identity"], `expected an identity of the caller's own; ${why}`);
  }
}

/** Names of fields, or the last parts of them, whose values open a storage or a stream. */
const credential = /(^|_)(secret|password|credentials|account_key|session_token|stream_key|proxy_password)$/;

function checkAction(at: Path, action: Action, draft: Draft, findings: Findings): void {
  checkMethod(at, action, actionMethods, findings);
  const fields = Object.entries(action.fields ?? {}).map(([name, text]): [Path, string | undefined] => [
    [...at, "fields", name],
    text,
  ]);
  const anonymous = checkAdmission(at, action, draft, findings);
  const parts = (["room", "identity"] as const).map((key): [Path, string | undefined] => [
    [...at, key],
    action[key],
  ]);
  checkSources([...parts, ...fields], "delete" in action ? "DELETE" : undefined, anonymous, findings);
  for (const [path, text] of fields) {
    const name = String(path.at(-1)).split(".").at(-1) ?? "";
    if (!credential.test(name) || text === undefined || findings.secrets.has(formatPath(path))) continue;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of configurations
    const expected = "expected literal.${NAME} or literal.${file:…}";
    findings.error(path, `${expected}: a credential comes neither from callers nor from this file`);
  }
}

function checkMethod(at: Path, route: object, methods: readonly string[], findings: Findings): void {
  const found = methods.filter(key => key in route);
  if (found.length === 1) return;
  const expected = `expected exactly one of ${oneOf(methods)}`;
  findings.error(at, `${expected}, found ${found.length === 0 ? "none" : found.join(" and ")}`);
}

/** @returns whether the route does not authenticate callers */
function checkAdmission(at: Path, route: TokenRoute | Action, draft: Draft, findings: Findings): boolean {
  const { authorize } = route;
  const upstream: Path = [...at, "authorize", "upstream"];
  checkReference("upstream", upstream, authorize?.upstream, draft.upstreams, findings);
  checkReference("project", [...at, "project"], route.project, draft.livekit?.projects, findings);
  checkProviderNames([...at, "auth"], route.auth, draft.auth?.providers, findings);
  checkLimitNames([...at, "rate_limit"], route.rate_limit, draft.rate_limits, findings);
  const anonymous = (route.auth ?? draft.auth?.default) === "none";
  const source = parseSource(route.identity ?? "")?.kind;
  if (anonymous && source !== "subject" && source !== "literal" && route.allow_other_identities !== true) {
    const why = "this route does not authenticate callers, so any caller could take any identity";
    findings.error(at, `${why}; expected auth, or allow_other_identities: true`);
  }
  return anonymous;
}

/** @param bodiless the method of the route where it is one whose requests have no body */
function checkSources(
  sources: readonly (readonly [Path, string | undefined])[],
  bodiless: "GET" | "DELETE" | undefined,
  anonymous: boolean,
  findings: Findings,
): void {
  for (const [path, text] of sources) {
    if (text === undefined) continue;
    const source = parseSource(text);
    if (source === undefined) {
      const suggestion = findings.isSecret(path) ? undefined : nearestSource(text);
      const message = `expected ${sourceExpectation}, found ${findings.show(path, text)}`;
      findings.error(path, message, { suggestion });
    } else if (source.kind === "body" && bodiless !== undefined) {
      const message = `a ${bodiless} request has no body; expected a value of path, query or claims`;
      findings.error(path, message);
    } else if (anonymous && (source.kind === "subject" || source.kind === "claim")) {
      const message = `this route does not authenticate callers, so there is no ${source.kind}; expected auth`;
      findings.error(path, message);
    }
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
