import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { invalidField } from "../../bindings/json-fields.js";
import type { Codec, JsonPolicy } from "../../codec/codec.js";
import { type Codecs, createCodecs } from "../../codec/codecs.js";
import type { JsonValue } from "../../codec/json.js";
import { jsonMembers } from "../../codec/json-members.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import { loadModel } from "../../descriptors/load/load.js";
import type { MethodType, ServiceType } from "../../descriptors/model.js";
import { bearerCheck } from "../../net/bearer.js";
import { createPace } from "../../net/pace.js";
import { Code } from "../../status/code.js";
import { encodeErrorInfo, encodeStatus } from "../../status/details.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Message, Published, RoomPosition } from "../brokers/broker.js";
import type { Content } from "../rooms/content.js";
import type { Hub, Post } from "../rooms/hub.js";
import { createRoomsApi, type DisconnectTarget, type RoomsApi } from "./rooms-api.js";

export interface RoomsServerOptions {
  /** A name or an IP address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** PEM; undefined for plain text. */
  readonly tls: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  /** The token that callers must send as `authorization: Bearer <token>`; undefined: none. */
  readonly token: string | undefined;
}

export interface RoomsServer {
  readonly port: number;
  /** Refuses new calls, lets those under way finish for a second, then drops the rest. */
  close(): Promise<void>;
}

/** Milliseconds. */
const closeGrace = 1000;

/**
 * Serves `protogate.realtime.v1.Rooms` over gRPC.
 * @throws Error where the address cannot be had, or key and certificate are bad
 */
export async function startRoomsServer(hub: () => Hub, options: RoomsServerOptions): Promise<RoomsServer> {
  const { host, port, tls, token } = options;
  const server = new Server();
  const { definition, implementation } = roomsService(
    await loadRooms(),
    createRoomsApi(hub),
    bearerCheck(token),
  );
  server.addService(definition, implementation);
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
        ]);
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, number) =>
      error === null ? resolve(number) : reject(error),
    );
  });
  return { port: bound, close: () => close(server) };
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const forced = setTimeout(() => server.forceShutdown(), closeGrace);
    server.tryShutdown(() => {
      clearTimeout(forced);
      resolve();
    });
  });
}

const serviceName = "protogate.realtime.v1.Rooms";

interface PostMessage {
  readonly from: string;
  readonly message: string;
  readonly id: string;
  readonly event: string;
  readonly data: string;
  readonly ephemeral: boolean;
}

/** Requests with all fields set, numbers as numbers. */
interface Requests {
  readonly Publish: PostMessage & { room: string };
  readonly Broadcast: PostMessage & { rooms: string[] };
  readonly ListRooms: object;
  readonly ListMembers: { room: string };
  readonly ReadHistory: { room: string; since?: RoomPosition; limit: number; before: number };
  readonly Disconnect: DisconnectTarget & { reason: string };
  readonly Subscribe: DisconnectTarget & { room: string };
  readonly Unsubscribe: DisconnectTarget & { room: string; reason: string; banSeconds: number };
  readonly Send: DisconnectTarget & Pick<PostMessage, "from" | "message" | "event" | "data">;
}

type Handlers = { readonly [K in keyof Requests]: (request: Requests[K]) => Promise<object> };

function handlersOf(api: RoomsApi): Handlers {
  return {
    Publish: async ({ room, ...post }) => publication(await api.publish({ room, ...postOf(post) })),
    Broadcast: async ({ rooms, ...post }) => {
      const published = await api.broadcast(rooms, postOf(post));
      return { published: published.map(publication) };
    },
    ListRooms: async () => ({ rooms: await api.rooms() }),
    ListMembers: async ({ room }) => ({ members: await api.members(room) }),
    ReadHistory: async ({ room, since, limit, before }) => {
      const range = { since, before: Number(before) || undefined, limit: limit || undefined };
      const { messages, replay } = await api.history(room, range);
      const place = replay && { place: replay.position, recovered: replay.recovered };
      return { messages: messages.map(messageOf), ...place };
    },
    Subscribe: async ({ room, ...who }) => ({ sessions: await api.subscribe(who, room) }),
    Unsubscribe: async ({ room, reason, banSeconds, ...who }) => ({
      sessions: await api.unsubscribe(who, room, reason || undefined, banSeconds || undefined),
    }),
    Send: async ({ from, message, event, data, ...who }) => ({
      sessions: await api.send(who, from, contentOf({ message, event, data })),
    }),
    Disconnect: async ({ reason, ...who }) => ({ closed: await api.disconnect(who, reason || undefined) }),
  };
}

function postOf({ from, ephemeral, id, ...content }: PostMessage): Omit<Post, "room"> {
  return { from, ...contentOf(content), ephemeral, id: id || undefined };
}

function contentOf({ message, event, data }: Pick<PostMessage, "message" | "event" | "data">): Content {
  if (data !== "" && !isJson(data)) throw invalidField("data", "expected JSON");
  const isText = event === "" && data === "";
  return {
    message: isText || message !== "" ? message : undefined,
    event: event || undefined,
    data: data || undefined,
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function publication(published: Published | undefined): object {
  if (published === undefined) return {};
  const { epoch, seq, duplicate } = published;
  return { place: { epoch, seq }, duplicate };
}

function messageOf({ epoch, seq, text, at }: Message): object {
  const { from, message, event } = JSON.parse(text) as Readonly<Record<string, string | undefined>>;
  const content = message === undefined ? { event, data: jsonMembers(text).get("data") } : { message };
  const sentAt = new Date(at).toISOString();
  return { place: { epoch, seq }, from, ...content, sentAt };
}

/**
 * The service as grpc-js serves it.
 * @param admits whether a caller with that `authorization` metadata may call
 */
function roomsService(
  { service, codecs }: { readonly service: ServiceType; readonly codecs: Codecs },
  api: RoomsApi,
  admits: (authorization: string | undefined) => boolean,
): { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation } {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  const implementation: UntypedServiceImplementation = {};
  const handlers = handlersOf(api) as Readonly<Record<string, (request: object) => Promise<object>>>;
  for (const method of service.methods) {
    definition[method.name] = methodDefinition(method, codecs);
    const handle = handlers[method.name];
    const handleAuthorized: handleUnaryCall<object, object> = (call, reply) => {
      const [authorization] = call.metadata.get("authorization");
      if (!admits(authorization?.toString())) {
        const message = "expected the metadata authorization with the bearer token of realtime.api";
        reply(failed(gatewayFailure("CREDENTIALS_INVALID", message)));
        return;
      }
      handle?.(call.request).then(
        result => reply(null, result),
        error => reply(failed(failureOf(error))),
      );
    };
    implementation[method.name] = handleAuthorized;
  }
  return { definition, implementation };
}

function methodDefinition(
  { path, input, output }: MethodType,
  codecs: Codecs,
): MethodDefinition<object, object> {
  const request = codecOf(codecs.message(input));
  const response = codecOf(codecs.message(output));
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

function codecOf(codec: Codec) {
  return {
    serialize: (value: object): Buffer => {
      const writer = new Writer(256);
      codec.encode(jsonOf(value), writer);
      return Buffer.from(writer.finish());
    },
    deserialize: (wire: Buffer): object => JSON.parse(codec.decode(wire)),
  };
}

/** Without undefined members, and with texts that UTF-8 can encode. */
function jsonOf(value: object): JsonValue {
  const text = JSON.stringify(value, (_, each) =>
    typeof each === "string" ? each.replace(loneSurrogates, "\ufffd") : each,
  );
  return JSON.parse(text);
}

const loneSurrogates = /\p{Surrogate}/gu;

function failureOf(error: unknown): Failure {
  return error instanceof GatewayError
    ? error.failure
    : gatewayFailure("INTERNAL", "internal error; see the gateway log");
}

/** Failures as gRPC sends them, with an ErrorInfo beside their details. */
function failed(failure: Failure): Pick<StatusObject, "code" | "details" | "metadata"> {
  const { code, reason, message } = failure;
  const details = [encodeErrorInfo(reason), ...failure.details];
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(encodeStatus({ code, message, details })));
  return { code: code === Code.OK ? Code.UNKNOWN : code, details: message, metadata };
}

/** The folder of the protos that come with the package, the same from `src` and from `dist`. */
const folder = fileURLToPath(new URL("../../../protos/", import.meta.url));

/** The definition of `protogate.realtime.v1.Rooms`, and the codecs of its messages. */
async function loadRooms(): Promise<{ readonly service: ServiceType; readonly codecs: Codecs }> {
  const file = join(folder, "protogate/realtime/v1/rooms.proto");
  const input = { kind: "protos", folder: file, include: [folder] } as const;
  const { model } = await loadModel([input], createPace(), undefined, false);
  const service = model.services.get(serviceName);
  if (service === undefined) throw new Error(`${file}: expected the service ${serviceName}`);
  return { service, codecs: createCodecs(model, policy) };
}

const policy: JsonPolicy = {
  enums: "name",
  int64: "number",
  emitDefaults: true,
  names: "json",
  unknownFields: "ignore",
  depth: 8,
};
