import type {
  LocalHandler,
  LocalOperation,
  LocalRequest,
  LocalResponse,
} from "../../bindings/built-in-route.js";
import { parseJsonObject, requireJsonBody } from "../../bindings/json-body.js";
import type { JsonObject } from "../../codec/json.js";
import { chatApiDialect } from "../../dialects/chat-api.js";
import { whenReady } from "../../net/when-ready.js";
import { GatewayError, gatewayError } from "../../status/failure.js";
import type { Session } from "../bridge/bridge.js";
import { jsonMembers } from "../bridge/json-members.js";
import type { Message } from "../brokers/broker.js";
import {
  eventExpected,
  eventName,
  keyExpected,
  keyText,
  nameProblem,
  publishProblem,
} from "../chat/frame-reader.js";
import type { PublishFrame, SendFrame } from "../chat/frames.js";
import { allowed, keyOf, rewritten, serverOnly } from "../chat/speaking.js";
import type { Realtime } from "../realtime.js";
import { type Content, contentMembers } from "../rooms/content.js";
import { newSession } from "../rooms/local-hub.js";
import { messageHead } from "../rooms/socket.js";
import { listRoomsOperation, receiveOperation, sendOperation } from "./rest-operations.js";

/** Where the REST API for rooms is served. */
export interface RestOptions {
  /** Put before the paths, such as `/chat`; empty for none. */
  readonly prefix: string;
  /** As for the sockets. */
  readonly auth: LocalHandler["auth"];
  readonly rateLimit: LocalHandler["rateLimit"];
}

/** `GET /rooms`, `POST /send` and `POST /receive`. */
export function restEndpoints(
  realtime: () => Realtime,
  { prefix, auth, rateLimit }: RestOptions,
): readonly LocalHandler[] {
  const endpoint = (
    method: string,
    path: string,
    answer: (realtime: Realtime, request: LocalRequest) => LocalResponse | Promise<LocalResponse>,
    operation: LocalOperation,
  ): LocalHandler => ({
    method,
    template: `${prefix}${path}`,
    at: ["realtime", "rest"],
    service: "realtime",
    auth,
    rateLimit,
    dialect: chatApiDialect,
    bodyLimit: undefined,
    operation,
    handle: request => answer(realtime(), request),
  });
  return [
    endpoint("GET", "/rooms", listRooms, listRoomsOperation),
    endpoint("POST", "/send", send, sendOperation(auth === "none")),
    endpoint("POST", "/receive", receive, receiveOperation),
  ];
}

/** The rooms that hold messages, as far as the caller may use them. */
function listRooms(
  { hub, local, settings }: Realtime,
  { identity }: LocalRequest,
): LocalResponse | Promise<LocalResponse> {
  const answer = (all: readonly string[]): LocalResponse => {
    const { roomPolicy } = settings;
    const rooms = all.filter(
      room =>
        local.kinds.isOpen(room) &&
        local.kinds.isOwned(room, identity?.subject) &&
        roomPolicy?.allows(identity, room) !== false,
    );
    return json({ rooms });
  };
  const names = hub.roomNames();
  return whenReady(names, answer);
}

/** Publishes, and returns the message as members get it. Backends are called as for a message of a socket. */
async function send(
  { hub, local, settings, sendRate }: Realtime,
  request: LocalRequest,
): Promise<LocalResponse> {
  const { identity } = request;
  sendRate.admit(request, identity?.subject);
  const body = fields(request, ["room_id", "from", "message", "event", "data", "ephemeral", "key"]);
  const { room_id: room, from: claim, key } = body;
  if (identity !== undefined && claim !== undefined && claim !== identity.subject)
    throw gatewayError("FROM_MISMATCH", "from must equal the authenticated subject");
  const from = identity?.subject ?? text("from", claim);
  named("room_id", room);
  named("from", from);
  const name = text("room_id", room);
  if (local.kindOf(name).publish === "server") throw serverOnly();
  local.bans.require(name, from);
  local.kinds.requireOpen(name);
  local.kinds.requireOwner(name, identity?.subject);
  settings.roomPolicy?.require(identity, name);
  const frame = frameOf(request, body, name, from);
  const asked = local.asks("message", name) ? settings.bridge : undefined;
  const verdict = await asked?.event("message", sessionOf(request, from), frame);
  const spoken = verdict === undefined ? frame : allowed(verdict);
  const content = rewritten(frame, spoken);
  const sender = spoken.from ?? from;
  const ephemeral = frame.type === "publish" && frame.ephemeral;
  const id = key === undefined ? undefined : keyOf(from, text("key", key));
  const place = await local.send(name, JSON.stringify(sender), content, { key: id, ephemeral });
  if (place === undefined) return raw(`${unsent(name, sender, content)}}`);
  const { messages } = await hub.since(name, { epoch: place.epoch, seq: place.seq - 1 });
  const sent = messages.find(({ seq }) => seq === place.seq)?.text;
  const members = place.duplicate ? ',"duplicate":true}' : "}";
  if (sent !== undefined) return raw(`${sent.slice(0, -1)}${members}`);
  const known = `${unsent(name, sender, content)},"seq":${place.seq},"epoch":"${place.epoch}"`;
  return raw(`${known}${members}`);
}

/** The frame that a socket would send. */
function frameOf(
  { body: bytes }: LocalRequest,
  body: JsonObject,
  room: string,
  from: string,
): SendFrame | PublishFrame {
  const { message, event, data, ephemeral, key } = body;
  const sender = { room_id: room, from };
  if (key !== undefined && !keyText.test(text("key", key)))
    throw gatewayError("INVALID_VALUE", `key: expected ${keyExpected}`);
  if (event === undefined && data === undefined && ephemeral === undefined)
    return { type: "send-message", ...sender, message: text("message", message) };
  const problem = message === undefined ? publishProblem(body) : "expected either message, or event and data";
  if (problem !== undefined) throw gatewayError("INVALID_VALUE", problem);
  if (event !== undefined && !eventName.test(text("event", event)))
    throw gatewayError("INVALID_VALUE", `event: expected ${eventExpected}`);
  if (ephemeral !== undefined && typeof ephemeral !== "boolean")
    throw gatewayError("INVALID_VALUE", "ephemeral: expected true or false");
  return {
    type: "publish",
    ...sender,
    ...(event === undefined ? {} : { event: text("event", event) }),
    ...(data === undefined ? {} : { data: jsonMembers(Buffer.from(bytes).toString()).get("data") ?? "null" }),
    ephemeral: ephemeral ?? false,
  };
}

/** A message as members get it, without its end and the members that the broker adds. */
function unsent(room: string, from: string, content: Content): string {
  return `${messageHead(room)}${JSON.stringify(from)},${contentMembers(content)}`;
}

/** The messages that a room holds, oldest first. */
async function receive({ hub, local, settings }: Realtime, request: LocalRequest): Promise<LocalResponse> {
  const { room_id: room, before, limit } = fields(request, ["room_id", "before", "limit"]);
  named("room_id", room);
  const name = text("room_id", room);
  local.kinds.requireOpen(name);
  local.kinds.requireOwner(name, request.identity?.subject);
  settings.roomPolicy?.require(request.identity, name);
  const messages: readonly Message[] = await hub.history(
    name,
    count("limit", limit),
    count("before", before),
  );
  return raw(`{"messages":[${messages.map(each => each.text).join(",")}]}`);
}

function count(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw gatewayError("INVALID_VALUE", `${name}: expected an integer from 1`);
}

/** A sender by HTTP has no socket that a reply could go to. */
function sessionOf({ identity, clientAddress, requestId }: LocalRequest, subject: string): Session {
  const send = () => false;
  return { id: newSession(), identity, subject, clientAddress, requestId, send, buffered: 0, closed: true };
}

function fields(request: LocalRequest, known: readonly string[]): JsonObject {
  requireJsonBody(request);
  const value = bodyOf(request);
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw gatewayError("UNKNOWN_FIELD", `unknown field ${JSON.stringify(name.slice(0, 64))}`);
  }
  return value;
}

/** Clients of this protocol identify errors by their text. */
function bodyOf({ body }: LocalRequest): JsonObject {
  try {
    return parseJsonObject(body);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.failure.reason !== "MALFORMED_JSON") throw error;
    throw gatewayError("MALFORMED_JSON", "the body is not valid JSON");
  }
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  const message = value === undefined ? `${name} not provided` : `${name}: expected a string`;
  throw gatewayError("INVALID_VALUE", message);
}

function named(name: string, value: unknown): void {
  const expected = nameProblem(text(name, value));
  if (expected !== undefined) throw gatewayError("INVALID_VALUE", `${name}: expected ${expected}`);
}

function json(value: unknown): LocalResponse {
  return raw(JSON.stringify(value));
}

function raw(body: string): LocalResponse {
  return { status: 200, headers: [["content-type", "application/json"]], body };
}
