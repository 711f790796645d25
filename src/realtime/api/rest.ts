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
import type { Message } from "../brokers/broker.js";
import { nameProblem } from "../chat/frame-reader.js";
import type { Realtime } from "../realtime.js";
import { newSession } from "../rooms/local-hub.js";
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
  { hub, settings }: Realtime,
  { identity }: LocalRequest,
): LocalResponse | Promise<LocalResponse> {
  const answer = (all: readonly string[]): LocalResponse => {
    const { roomPolicy } = settings;
    const rooms = roomPolicy === undefined ? all : all.filter(room => roomPolicy.allows(identity, room));
    return json({ rooms });
  };
  const names = hub.roomNames();
  return whenReady(names, answer);
}

/** Publishes, and answers the message as members get it. Backends are asked as for a message of a socket. */
async function send({ hub, settings, sendRate }: Realtime, request: LocalRequest): Promise<LocalResponse> {
  const { identity } = request;
  sendRate.admit(request, identity?.subject);
  const { room_id: room, from: claim, message } = fields(request, ["room_id", "from", "message"]);
  if (identity !== undefined && claim !== undefined && claim !== identity.subject)
    throw gatewayError("FROM_MISMATCH", "from must equal the authenticated subject");
  const from = identity?.subject ?? text("from", claim);
  named("room_id", room);
  named("from", from);
  const name = text("room_id", room);
  settings.roomPolicy?.require(identity, name);
  const frame = { type: "send-message", room_id: name, from, message: text("message", message) } as const;
  const verdict = await settings.bridge?.event("message", sessionOf(request, from), frame);
  if (verdict?.allow === false) throw new GatewayError(verdict.failure);
  const accepted = verdict?.frame ?? frame;
  const place = await hub.publish({ room: name, from: accepted.from ?? from, message: accepted.message });
  const { messages } = await hub.since(name, { epoch: place.epoch, seq: place.seq - 1 });
  const sent = messages.find(({ seq }) => seq === place.seq);
  const { type, ...answer } = { ...frame, ...accepted, seq: place.seq, epoch: place.epoch };
  return sent === undefined ? json({ type: "receive-message", ...answer }) : raw(sent.text);
}

/** The messages that a room holds, oldest first. */
async function receive({ hub, settings }: Realtime, request: LocalRequest): Promise<LocalResponse> {
  const { room_id: room } = fields(request, ["room_id"]);
  named("room_id", room);
  const name = text("room_id", room);
  settings.roomPolicy?.require(request.identity, name);
  const messages: readonly Message[] = await hub.history(name);
  return raw(`{"messages":[${messages.map(each => each.text).join(",")}]}`);
}

/** Whoever sends by HTTP has no socket that an answer could go to. */
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

/** Clients of this protocol know what is wrong by its text. */
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
