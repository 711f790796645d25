import {
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Method, Root, Type } from "protobufjs";
import { Code } from "../../status/code.js";
import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { Message, Position, Published } from "../brokers/broker.js";
import type { RoomsApi } from "./rooms-api.js";

const serviceName = "protogate.realtime.v1.Rooms";

/** Requests with all fields set, numbers as numbers. */
interface Requests {
  readonly Publish: { room: string; from: string; message: string; id: string };
  readonly Broadcast: { rooms: string[]; from: string; message: string; id: string };
  readonly ListRooms: object;
  readonly ListMembers: { room: string };
  readonly ReadHistory: { room: string; since: Position | null; limit: number };
  readonly Disconnect: { subject?: string; session?: string; reason: string };
}

type Handlers = { readonly [K in keyof Requests]: (request: Requests[K]) => Promise<object> };

function handlersOf(api: RoomsApi): Handlers {
  return {
    Publish: async ({ id, ...post }) => publication(await api.publish({ ...post, id: id || undefined })),
    Broadcast: async ({ rooms, id, ...post }) => {
      const published = await api.broadcast(rooms, { ...post, id: id || undefined });
      return { published: published.map(publication) };
    },
    ListRooms: async () => ({ rooms: await api.rooms() }),
    ListMembers: async ({ room }) => ({ members: await api.members(room) }),
    ReadHistory: async ({ room, since, limit }) => {
      const { messages, replay } = await api.history(room, since ?? undefined, limit || undefined);
      const place = replay && { place: replay.position, recovered: replay.recovered };
      return { messages: messages.map(messageOf), ...place };
    },
    Disconnect: async ({ reason, ...who }) => ({ closed: await api.disconnect(who, reason || undefined) }),
  };
}

function publication({ epoch, seq, duplicate }: Published): object {
  return { place: { epoch, seq }, duplicate };
}

function messageOf({ epoch, seq, text, at }: Message): object {
  const { from, message } = JSON.parse(text) as { from: string; message: string };
  const sentAt = { seconds: Math.floor(at / 1000), nanos: (at % 1000) * 1_000_000 };
  return { place: { epoch, seq }, from, message, sentAt };
}

/**
 * The service as grpc-js serves it.
 * @param admits whether a caller with that `authorization` metadata may call
 */
export function roomsService(
  root: Root,
  api: RoomsApi,
  admits: (authorization: string | undefined) => boolean,
): { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation } {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  const implementation: UntypedServiceImplementation = {};
  const handlers = handlersOf(api) as Readonly<Record<string, (request: object) => Promise<object>>>;
  const failed = failures(root);
  for (const method of root.lookupService(serviceName).methodsArray) {
    definition[method.name] = methodDefinition(method);
    const handle = handlers[method.name];
    const answer: handleUnaryCall<object, object> = (call, reply) => {
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
    implementation[method.name] = answer;
  }
  return { definition, implementation };
}

function methodDefinition(method: Method): MethodDefinition<object, object> {
  method.resolve();
  const request = codec(method.resolvedRequestType as Type);
  const reply = codec(method.resolvedResponseType as Type);
  return {
    path: `/${serviceName}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: reply.serialize,
    responseDeserialize: reply.deserialize,
  };
}

function codec(type: Type) {
  return {
    serialize: (value: object): Buffer => Buffer.from(type.encode(type.fromObject(value)).finish()),
    deserialize: (wire: Buffer): object => {
      const { who: _, ...request } = type.toObject(type.decode(wire), {
        defaults: true,
        longs: Number,
        oneofs: true,
      });
      return request;
    },
  };
}

function failureOf(error: unknown): Failure {
  return error instanceof GatewayError ? error.failure : gatewayFailure("INTERNAL", "the gateway failed");
}

/** Failures as gRPC sends them, with an ErrorInfo beside what details they have. */
function failures(root: Root): (failure: Failure) => Pick<StatusObject, "code" | "details" | "metadata"> {
  const status = root.lookupType("google.rpc.Status");
  const errorInfo = root.lookupType("google.rpc.ErrorInfo");
  return ({ code, reason, message, details }) => {
    const info = errorInfo.encode(errorInfo.fromObject({ reason, domain: "protogate" })).finish();
    const own = { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: info };
    const all = [own, ...details].map(each => ({ type_url: each.typeUrl, value: each.value }));
    const metadata = new Metadata();
    const bytes = status.encode(status.fromObject({ code, message, details: all })).finish();
    metadata.set("grpc-status-details-bin", Buffer.from(bytes));
    return { code: code === Code.OK ? Code.UNKNOWN : code, details: message, metadata };
  };
}
