import { checkProviderNames } from "../auth/config.js";
import { isLoopback, parseAddress } from "../config/address.js";
import { checkReference, checkTlsFiles } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import { sizeText } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import { checkLimitNames } from "../limits/config.js";
import { checkListenerTls } from "../server/config.js";
import { checkBroker } from "./brokers/registry.js";
import { eventExpected, eventName, nameProblem } from "./chat/frame-reader.js";
import type { RealtimeSections, RoomConfig } from "./config.js";
import { covers, parseRoomPattern, type RoomPattern } from "./rooms/room-pattern.js";

type RealtimeDraft = NonNullable<DraftOf<RealtimeSections>["realtime"]>;

const eventKinds = ["connect", "join", "message", "leave", "disconnect"] as const;
const callPattern = /^[A-Za-z_][\w.]*\/([A-Za-z_]\w*|\*)$/;

export function checkRealtime(draft: DraftOf<RealtimeSections>, findings: Findings): void {
  checkListener(draft, findings);
  const { realtime } = draft;
  if (realtime === undefined) return;
  checkProviderNames(["realtime", "auth"], realtime.auth, draft.auth?.providers, findings);
  checkLimitNames(["realtime", "rate_limit"], realtime.rate_limit, draft.rate_limits, findings);
  realtime.origins?.forEach((origin, index) => {
    checkOrigin(["realtime", "origins", index], origin, findings);
  });
  if (realtime.transports?.length === 0)
    findings.error(["realtime", "transports"], "no client could connect; expected websocket, sse or poll");
  checkBackpressure(draft, findings);
  checkSessions(realtime, findings);
  checkUserRoom(realtime, findings);
  for (const kind of eventKinds) {
    const path = ["realtime", "events", kind, "upstream"];
    checkReference("upstream", path, realtime.events?.[kind]?.upstream, draft.upstreams, findings);
  }
  realtime.calls?.forEach((call, index) => {
    if (call === undefined || callPattern.test(call)) return;
    const at = ["realtime", "calls", index];
    findings.error(
      at,
      `expected package.Service/Method or package.Service/*, found ${findings.show(at, call)}`,
    );
  });
  checkBroker(["realtime", "broker"], draft.realtime?.broker, findings);
  checkApi(draft, findings);
  if (realtime.rooms === false) checkWithoutRooms(draft, findings);
  else if (Array.isArray(realtime.rooms)) checkRooms(realtime.rooms, draft, findings);
}

function checkUserRoom({ user_room: own, rooms, auth }: RealtimeDraft, findings: Findings): void {
  if (own === undefined) return;
  const at = ["realtime", "user_room"];
  const pattern = parseRoomPattern(own);
  if (typeof pattern === "string" || pattern.parts.join() !== "subject" || own.includes("*")) {
    const why = typeof pattern === "string" ? `${pattern}; ` : "";
    findings.error(at, `${why}expected a name with {subject} in it, such as user-{subject}`);
    return;
  }
  if (auth === "none") findings.error(at, "without authentication users are not known; expected auth");
  if (rooms === false) findings.error(at, "there are no rooms; expected no user_room, or rooms: true");
  if (!Array.isArray(rooms)) return;
  const fits = rooms.some(room => {
    const each = room?.match === undefined ? "" : parseRoomPattern(room.match);
    return typeof each !== "string" && covers(each, pattern);
  });
  if (!fits) findings.error(at, "no entry of realtime.rooms fits it; expected one that does");
}

const sessionKey = /^(subject|claim(\.[^.\s]+)+)$/;

function checkSessions({ sessions = [], auth }: RealtimeDraft, findings: Findings): void {
  if (sessions.length > 0 && auth === "none")
    findings.error(["realtime", "sessions"], "without authentication users are not known; expected auth");
  sessions.forEach((rule, index) => {
    const key = rule?.key;
    if (key === undefined || sessionKey.test(key)) return;
    const at = ["realtime", "sessions", index, "key"];
    findings.error(
      at,
      `expected subject, or a claim such as claim.PlatformID, found ${findings.show(at, key)}`,
    );
  });
}

function checkRooms(
  rooms: readonly (DraftOf<RoomConfig> | undefined)[],
  { realtime, auth, upstreams }: DraftOf<RealtimeSections>,
  findings: Findings,
): void {
  const known: { readonly pattern: RoomPattern; readonly index: number }[] = [];
  rooms.forEach((room, index) => {
    if (room === undefined) return;
    const at = (...more: readonly (string | number)[]) => ["realtime", "rooms", index, ...more];
    checkRoom(room, realtime, at, findings);
    checkReference("upstream", at("feed", "upstream"), room.feed?.upstream, upstreams, findings);
    const messages = room.history?.messages ?? realtime?.history?.messages;
    checkFeed(room, messages, key => at("feed", key), findings);
    const provider = room.token?.provider;
    const type = auth?.providers?.[provider ?? ""]?.type;
    checkReference("provider", at("token", "provider"), provider, auth?.providers, findings);
    if (type !== undefined && type !== "jwt")
      findings.error(at("token", "provider"), `expected a provider of type jwt, found one of type ${type}`);
    if (room.match === undefined) return;
    const pattern = parseRoomPattern(room.match);
    if (typeof pattern === "string") {
      findings.error(at("match"), `${pattern}, found ${findings.show(at("match"), room.match)}`);
      return;
    }
    const before = known.find(each => covers(each.pattern, pattern));
    if (before !== undefined)
      findings.error(
        at("match"),
        `no room gets here: every name that fits ${pattern.text} fits ${before.pattern.text}, which stands before it; expected the narrower one first`,
      );
    known.push({ pattern, index });
  });
}

function checkRoom(
  room: DraftOf<RoomConfig>,
  realtime: RealtimeDraft | undefined,
  at: (...more: readonly string[]) => Path,
  findings: Findings,
): void {
  const { presence, notices, cache } = room;
  if (presence === "off" && notices !== undefined && notices !== "off")
    findings.error(
      at("notices"),
      `who comes and goes is not known without presence; expected off, or presence: users, found ${notices}`,
    );
  const messages = room.history?.messages ?? realtime?.history?.messages;
  if (cache === true && messages === 0)
    findings.error(at("cache"), "no message is kept; expected history.messages of at least 1, or no cache");
  for (const event of room.events ?? [])
    if (event !== undefined && realtime?.events?.[event] === undefined)
      findings.error(at("events"), `expected events of realtime.events, which has no ${event}`);
}

/** @param messages kept of the room, where that is known */
function checkFeed(
  { publish, feed }: DraftOf<RoomConfig>,
  messages: number | undefined,
  at: (key: string) => Path,
  findings: Findings,
): void {
  if (feed === undefined) return;
  const { event, from, cursor, resume_field: resume } = feed;
  if (event !== undefined && !eventName.test(event))
    findings.error(at("event"), `expected ${eventExpected}, found ${findings.show(at("event"), event)}`);
  const problem = from === undefined ? undefined : nameProblem(from);
  if (problem !== undefined)
    findings.error(at("from"), `expected ${problem}, found ${findings.show(at("from"), from ?? "")}`);
  if (resume === undefined) return;
  if (cursor === undefined)
    findings.error(at("resume_field"), "expected cursor, the field of messages whose value the request gets");
  if (publish !== "server")
    findings.error(
      at("resume_field"),
      "members could publish what looks like a message of the feed; expected publish: server for these rooms",
    );
  if (messages === 0)
    findings.error(at("resume_field"), "no message is kept; expected history.messages of at least 1");
}

/** Reports settings without effect where there are no rooms. */
function checkWithoutRooms({ realtime, livekit }: DraftOf<RealtimeSections>, findings: Findings): void {
  const without = (path: Path, what: string): void =>
    findings.error(path, `there are no rooms, only calls; expected no ${what}, or rooms: true`);
  if (realtime?.rest !== undefined) without(["realtime", "rest"], "rest");
  if (realtime?.api !== undefined) without(["realtime", "api"], "api");
  for (const kind of ["join", "message", "leave"] as const)
    if (realtime?.events?.[kind] !== undefined) without(["realtime", "events", kind], kind);
  if (livekit?.webhook?.publish !== undefined) without(["livekit", "webhook", "publish"], "publish");
  if (realtime?.calls?.length === 0)
    findings.error(["realtime", "rooms"], "there is nothing to serve; expected calls, or rooms: true");
}

/** Else one message would make every client too slow that is behind at all. */
function checkBackpressure({ realtime }: DraftOf<RealtimeSections>, findings: Findings): void {
  const message = realtime?.limits?.message ?? 65_536;
  const max = realtime?.backpressure?.max ?? 1024 ** 2;
  if (max >= message) return;
  const expected = `expected at least the ${sizeText(message)} of realtime.limits.message`;
  findings.error(["realtime", "backpressure", "max"], `${expected}, found ${sizeText(max)}`);
}

/** Rooms and sockets must not be open to all clients that can reach the port. */
function checkApi({ realtime }: DraftOf<RealtimeSections>, findings: Findings): void {
  const api = realtime?.api;
  if (api === undefined) return;
  checkTlsFiles(["realtime", "api", "tls"], api.tls, findings);
  const at = ["realtime", "api", "address"];
  const own = parseAddress(api.address ?? "");
  if (own === undefined) return;
  const found = findings.show(at, api.address ?? "");
  if (!("token" in api) && !isLoopback(own.host))
    findings.error(
      at,
      `an address that others reach needs a token; expected one on 127.0.0.1, found ${found}`,
    );
}

function checkListener({ listeners, realtime }: DraftOf<RealtimeSections>, findings: Findings): void {
  const listener = listeners?.realtime;
  if (listener === undefined) {
    if (realtime !== undefined && listeners !== undefined && !("path" in realtime))
      findings.error(
        ["realtime"],
        "WebSockets need a listener; expected listeners.realtime, or path, where they are opened on listeners.http",
      );
    return;
  }
  if (realtime === undefined)
    findings.error(["listeners", "realtime"], "expected a section realtime that says what it serves");
  checkListenerTls(["listeners", "realtime", "tls"], listener.tls, findings);
}

/** The form in which browsers send it (RFC 6454 section 6.1): any other would never match. */
function checkOrigin(at: readonly (string | number)[], origin: string | undefined, findings: Findings): void {
  if (origin === undefined || origin === "*") return;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url !== undefined && url.origin === origin) return;
  const suggestion = url !== undefined && url.origin !== "null" ? url.origin : undefined;
  const expected = 'expected an origin such as https://app.example.com, or "*"';
  findings.error(at, `${expected}, found ${findings.show(at, origin)}`, { suggestion });
}
