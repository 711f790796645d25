import type { AdminRequest, AdminResponse, AdminRoute } from "../../bindings/admin-route.js";
import { parseJsonObject } from "../../bindings/json-body.js";
import { gatewayError } from "../../status/failure.js";
import type { Message, RoomPosition } from "../brokers/broker.js";
import type { Hub } from "../rooms/hub.js";
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
    handle: async (request): Promise<AdminResponse> => ({ status: 200, body: await answer(api, request) }),
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

function sinceOf(query: URLSearchParams): RoomPosition | undefined {
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

/** The members of a JSON object, each read as what it must be. @throws GatewayError naming the member */
interface JsonBody {
  text(name: string): string;
  optionalText(name: string): string | undefined;
  texts(name: string): readonly string[];
}

/** @throws GatewayError as `parseJsonObject` does, and UNKNOWN_FIELD for members that are not `known` */
function jsonBody(body: Uint8Array, known: readonly string[]): JsonBody {
  const members = parseJsonObject(body);
  for (const name of Object.keys(members)) {
    if (known.includes(name)) continue;
    const message = `unknown field ${JSON.stringify(name.slice(0, 64))}; expected ${known.join(", ")}`;
    throw gatewayError("UNKNOWN_FIELD", message);
  }
  const optionalText = (name: string): string | undefined => {
    const value = members[name];
    if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
    throw invalid(name, "expected a string");
  };
  return {
    optionalText,
    text: name => {
      const value = optionalText(name);
      if (value === undefined) throw invalid(name, "not provided");
      return value;
    },
    texts: name => {
      const value = members[name];
      if (Array.isArray(value) && value.every((each): each is string => typeof each === "string"))
        return value;
      throw invalid(name, value === undefined ? "not provided" : "expected a list of strings");
    },
  };
}
