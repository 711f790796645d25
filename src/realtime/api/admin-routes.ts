import type { AdminAnswer, AdminRequest, AdminRoute } from "../../bindings/admin-route.js";
import type { Message, Position } from "../brokers/broker.js";
import type { Hub } from "../rooms/hub.js";
import { jsonBody } from "./json-body.js";
import { createRoomsApi, invalid, type RoomsApi } from "./rooms-api.js";

/**
 * The rooms on the admin listener: what `protogate.realtime.v1.Rooms` does, as REST.
 * @param rooms false: there are none, only sockets
 */
export function roomsRoutes(hub: () => Hub, rooms = true): readonly AdminRoute[] {
  const api = createRoomsApi(hub);
  const route = (
    method: AdminRoute["method"],
    path: string,
    answer: (api: RoomsApi, request: AdminRequest) => Promise<unknown>,
  ): AdminRoute => ({
    method,
    path: `/realtime${path}`,
    handle: async (request): Promise<AdminAnswer> => ({ status: 200, body: await answer(api, request) }),
  });
  const sockets = [route("POST", "/disconnect", disconnect)];
  if (!rooms) return sockets;
  return [
    route("POST", "/publish", publish),
    route("POST", "/broadcast", broadcast),
    route("GET", "/rooms", async rooms => ({ rooms: await rooms.rooms() })),
    route("GET", "/rooms/:room/members", async (rooms, { parameters }) => ({
      members: await rooms.members(parameters.room ?? ""),
    })),
    route("GET", "/rooms/:room/history", history),
    ...sockets,
  ];
}

async function publish(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = jsonBody(request.body, ["room", "from", "message", "id"]);
  return api.publish({
    room: body.text("room"),
    from: body.text("from"),
    message: body.text("message"),
    id: body.optionalText("id"),
  });
}

async function broadcast(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = jsonBody(request.body, ["rooms", "from", "message", "id"]);
  const rooms = body.texts("rooms");
  const post = { from: body.text("from"), message: body.text("message"), id: body.optionalText("id") };
  const published = await api.broadcast(rooms, post);
  return { published: published.map((place, index) => ({ room: rooms[index], ...place })) };
}

async function history(api: RoomsApi, { parameters, query }: AdminRequest): Promise<unknown> {
  for (const name of query.keys()) {
    if (!["epoch", "seq", "limit"].includes(name)) throw invalid(name, "expected epoch, seq or limit");
  }
  const limit = query.has("limit") ? wholeNumber(query, "limit", 1) : undefined;
  const { messages, replay } = await api.history(parameters.room ?? "", sinceOf(query), limit);
  return { ...replay, messages: messages.map(frameOf) };
}

async function disconnect(api: RoomsApi, request: AdminRequest): Promise<unknown> {
  const body = jsonBody(request.body, ["subject", "session", "reason"]);
  const who = { subject: body.optionalText("subject"), session: body.optionalText("session") };
  return { closed: await api.disconnect(who, body.optionalText("reason")) };
}

function sinceOf(query: URLSearchParams): Position | undefined {
  const epoch = query.get("epoch");
  if (epoch === null && !query.has("seq")) return undefined;
  if (epoch === null || epoch === "") throw invalid("epoch", "expected the epoch that seq belongs to");
  return { epoch, seq: wholeNumber(query, "seq", 0) };
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number {
  const text = query.get(name) ?? "";
  const number = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
  throw invalid(name, `expected a whole number from ${least}`);
}

/** The frame that members got. */
function frameOf({ text }: Message): unknown {
  return JSON.parse(text);
}
