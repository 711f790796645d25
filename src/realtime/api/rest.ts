import type {
  LocalHandler,
  LocalOperation,
  LocalRequest,
  LocalResponse,
} from "../../bindings/built-in-route.js";
import { requireJsonBody } from "../../bindings/json-body.js";
import { invalidField, JsonFields } from "../../bindings/json-fields.js";
import { chatApiDialect } from "../../dialects/chat-api.js";
import { whenReady } from "../../net/when-ready.js";
import { GatewayError, gatewayError } from "../../status/failure.js";
import type { Session } from "../bridge/bridge.js";
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
import { allowed, keyOf, rewritten, serverOnly } from "../chat/publishing.js";
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
    respond: (realtime: Realtime, request: LocalRequest) => LocalResponse | Promise<LocalResponse>,
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
    handle: request => respond(realtime(), request),
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
  const respond = (all: readonly string[]): LocalResponse => {
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
  return whenReady(names, respond);
}

/** Publishes, and returns the message as members get it. Backends are called as for a message of a socket. */
async function send(
  { hub, local, settings, sendRate }: Realtime,
  request: LocalRequest,
): Promise<LocalResponse> {
  const { identity } = request;
  sendRate.admit(request, identity?.subject);
  const body = fieldsOf(request, ["room_id", "from", "message", "event", "data", "ephemeral", "key"]);
  const claim = body.optionalText("from");
  if (identity !== undefined && claim !== undefined && claim !== identity.subject)
    throw gatewayError("FROM_MISMATCH", "from must equal the authenticated subject");
  const name = nameOf("room_id", body.text("room_id"));
  const from = nameOf("from", identity?.subject ?? body.text("from"));
  if (local.kindOf(name).publish === "server") throw serverOnly();
  local.bans.require(name, from);
  local.kinds.requireOpen(name);
  local.kinds.requireOwner(name, identity?.subject);
  settings.roomPolicy?.require(identity, name);
  const frame = frameOf(body, name, from);
  const bridge = local.isBridged("message", name) ? settings.bridge : undefined;
  const outcome = await bridge?.event("message", sessionOf(request, from), frame);
  const published = outcome === undefined ? frame : allowed(outcome);
  const content = rewritten(frame, published);
  const sender = published.from ?? from;
  const ephemeral = frame.type === "publish" && frame.ephemeral;
  const key = body.optionalText("key");
  const id = key === undefined ? undefined : keyOf(from, key);
  const position = await local.send(name, JSON.stringify(sender), content, { key: id, ephemeral });
  if (position === undefined) return raw(`${unsent(name, sender, content)}}`);
  const { messages } = await hub.since(name, { epoch: position.epoch, seq: position.seq - 1 });
  const sent = messages.find(({ seq }) => seq === position.seq)?.text;
  const members = position.duplicate ? ',"duplicate":true}' : "}";
  if (sent !== undefined) return raw(`${sent.slice(0, -1)}${members}`);
  const known = `${unsent(name, sender, content)},"seq":${position.seq},"epoch":"${position.epoch}"`;
  return raw(`${known}${members}`);
}

/** The frame that a socket would send. */
function frameOf(body: JsonFields, room: string, from: string): SendFrame | PublishFrame {
  const key = body.optionalText("key");
  const event = body.optionalText("event");
  const data = body.source("data");
  const ephemeral = body.flag("ephemeral");
  const sender = { room_id: room, from };
  if (key !== undefined && !keyText.test(key)) throw invalidField("key", `expected ${keyExpected}`);
  if (event === undefined && data === undefined && ephemeral === undefined)
    return { type: "send-message", ...sender, message: body.text("message") };
  const problem =
    body.value("message") === undefined
      ? publishProblem({ event, data, ephemeral, key })
      : "expected either message, or event and data";
  if (problem !== undefined) throw gatewayError("INVALID_VALUE", problem);
  if (event !== undefined && !eventName.test(event)) throw invalidField("event", `expected ${eventExpected}`);
  return {
    type: "publish",
    ...sender,
    ...(event === undefined ? {} : { event }),
    ...(data === undefined ? {} : { data }),
    ephemeral: ephemeral ?? false,
  };
}

/** A message as members get it, without its end and the members that the broker adds. */
function unsent(room: string, from: string, content: Content): string {
  return `${messageHead(room)}${JSON.stringify(from)},${contentMembers(content)}`;
}

/** The messages that a room holds, oldest first. */
async function receive({ hub, local, settings }: Realtime, request: LocalRequest): Promise<LocalResponse> {
  const body = fieldsOf(request, ["room_id", "before", "limit"]);
  const name = nameOf("room_id", body.text("room_id"));
  local.kinds.requireOpen(name);
  local.kinds.requireOwner(name, request.identity?.subject);
  settings.roomPolicy?.require(request.identity, name);
  const messages: readonly Message[] = await hub.history(
    name,
    body.integer("limit", 1),
    body.integer("before", 1),
  );
  return raw(`{"messages":[${messages.map(each => each.text).join(",")}]}`);
}

/** A sender by HTTP has no socket that a reply could go to. */
function sessionOf({ identity, clientAddress, requestId }: LocalRequest, subject: string): Session {
  const send = () => false;
  return { id: newSession(), identity, subject, clientAddress, requestId, send, buffered: 0, closed: true };
}

function fieldsOf(request: LocalRequest, known: readonly string[]): JsonFields {
  requireJsonBody(request);
  try {
    return new JsonFields(request.body, known);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.failure.reason !== "MALFORMED_JSON") throw error;
    // Clients of this protocol identify errors by their text.
    throw gatewayError("MALFORMED_JSON", "the body is not valid JSON");
  }
}

function nameOf(field: string, value: string): string {
  const expected = nameProblem(value);
  if (expected === undefined) return value;
  throw invalidField(field, `expected ${expected}`);
}

function json(value: unknown): LocalResponse {
  return raw(JSON.stringify(value));
}

function raw(body: string): LocalResponse {
  return { status: 200, headers: [["content-type", "application/json"]], body };
}
