import type { AdminRequest, AdminResponse, AdminRoute } from "../../bindings/admin-route.js";
import { invalidField, JsonFields } from "../../bindings/json-fields.js";
import type { Message, RoomPosition } from "../brokers/broker.js";
import type { Hub, Post } from "../rooms/hub.js";
import { createRoomsApi, type DisconnectTarget, type RoomsApi } from "./rooms-api.js";

/**
 * The rooms on the admin listener: the methods of `protogate.realtime.v1.Rooms`, as REST.
 * @param rooms false: there are none, only sockets
 */
export function roomsRoutes(hub: () => Hub, rooms = true): readonly AdminRoute[] {
  const api = createRoomsApi(hub);
  const route = (
    method: AdminRoute["method"],
    path: string,
    respond: (api: RoomsApi, request: AdminRequest) => Promise<unknown>,
  ): AdminRoute => ({
    method,
    path: `/realtime${path}`,
    handle: async (request): Promise<AdminResponse> => ({ status: 200, body: await respond(api, request) }),
  });
  const sockets = [route("POST", "/disconnect", disconnect), route("POST", "/send", send)];
  if (!rooms) return sockets;
  return [
    route("POST", "/publish", publish),
    route("POST", "/broadcast", broadcast),
    route("POST", "/subscribe", subscribe),
    route("POST", "/unsubscribe", unsubscribe),
    route("GET", "/rooms", async rooms => ({ rooms: await rooms.rooms() })),
    route("GET", "/rooms/:room/members", async (rooms, { parameters }) => ({
      members: await rooms.members(parameters.room ?? ""),
    })),
    route("GET", "/rooms/:room/history", history),
    ...sockets,
  ];
}

const postFields = ["from", "message", "event", "data", "ephemeral", "id"];

async function publish(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["room", ...postFields]);
  return (await api.publish({ room: body.text("room"), ...postOf(body) })) ?? passed;
}

async function broadcast(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["rooms", ...postFields]);
  const rooms = body.texts("rooms");
  const published = await api.broadcast(rooms, postOf(body));
  return { published: published.map((position, index) => ({ room: rooms[index], ...(position ?? passed) })) };
}

/** An ephemeral message has no position. */
const passed = { ephemeral: true };

function postOf(body: JsonFields): Omit<Post, "room"> {
  const event = body.optionalText("event");
  const data = body.source("data");
  const ephemeral = body.flag("ephemeral");
  const isText = event === undefined && data === undefined;
  const message = isText ? body.text("message") : body.optionalText("message");
  return { from: body.text("from"), message, event, data, ephemeral, id: body.optionalText("id") };
}

async function history(api: RoomsApi, { parameters, query }: AdminRequest): Promise<unknown> {
  for (const name of query.keys()) {
    if (!["epoch", "seq", "before", "limit"].includes(name))
      throw invalidField(name, "expected epoch, seq, before or limit");
  }
  const limit = query.has("limit") ? wholeNumber(query, "limit", 1) : undefined;
  const before = query.has("before") ? wholeNumber(query, "before", 1) : undefined;
  const range = { since: sinceOf(query), before, limit };
  const { messages, replay } = await api.history(parameters.room ?? "", range);
  return { ...replay, messages: messages.map(frameOf) };
}

async function subscribe(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["subject", "session", "room"]);
  return { sessions: await api.subscribe(whoOf(body), body.text("room")) };
}

async function unsubscribe(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["subject", "session", "room", "reason", "ban_seconds"]);
  const ban = body.integer("ban_seconds", 1);
  const sessions = await api.unsubscribe(whoOf(body), body.text("room"), body.optionalText("reason"), ban);
  return { sessions };
}

async function send(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["subject", "session", "from", "message", "event", "data"]);
  const [event, data] = [body.optionalText("event"), body.source("data")];
  const isText = event === undefined && data === undefined;
  const message = isText ? body.text("message") : body.optionalText("message");
  return { sessions: await api.send(whoOf(body), body.text("from"), { message, event, data }) };
}

function whoOf(body: JsonFields): DisconnectTarget {
  return { subject: body.optionalText("subject"), session: body.optionalText("session") };
}

async function disconnect(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = new JsonFields(request.body, ["subject", "session", "reason"]);
  return { closed: await api.disconnect(whoOf(body), body.optionalText("reason")) };
}

function sinceOf(query: URLSearchParams): RoomPosition | undefined {
  const epoch = query.get("epoch");
  if (epoch === null && !query.has("seq")) return undefined;
  if (epoch === null || epoch === "") throw invalidField("epoch", "expected the epoch that seq belongs to");
  return { epoch, seq: wholeNumber(query, "seq", 0) };
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number {
  const text = query.get(name) ?? "";
  const number = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
  throw invalidField(name, `expected a whole number from ${least}`);
}

/** The frame that members got. */
function frameOf({ text }: Message): unknown {
  return JSON.parse(text);
}
