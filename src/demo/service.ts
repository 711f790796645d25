import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Root, Type } from "protobufjs";
import { Code } from "../status/code.js";
import { RpcError, statusOf } from "./rpc-error.js";

/** The data of a call for its handler, beside the request. */
export interface CallContext {
  readonly metadata: Metadata;
  /** Initial metadata of the response. */
  readonly responseMetadata: Metadata;
}

/** Handles one unary method. Requests have every field set, 64-bit integers are decimal text, enums are names. */
export type UnaryHandler = (request: object, context: CallContext) => object | Promise<object>;

/** Gives the responses of one server-streaming method. */
export interface StreamHandler {
  readonly responses: (request: object, context: CallContext) => readonly object[];
}

/** The handlers of one RPC service by method name. */
export interface DemoService {
  /** Full name, `killrchat.v1.UserService`. */
  readonly name: string;
  readonly handlers: Readonly<Record<string, UnaryHandler | StreamHandler>>;
}

/** Gives a handler the request type that its proto promises. */
export function unary<Request extends object, Response extends object>(
  handle: (request: Request, context: CallContext) => Response | Promise<Response>,
): UnaryHandler {
  return (request, context) => handle(request as Request, context);
}

/** The same for a method that streams its responses. */
export function serverStream<Request extends object>(
  responses: (request: Request, context: CallContext) => readonly object[],
): StreamHandler {
  return { responses: (request, context) => responses(request as Request, context) };
}

/** The data that grpc-js needs to serve one service. */
export interface ServerBinding {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/**
 * Binds handlers to the service that the protos define.
 *
 * @throws Error when a method of the service has no handler, or a type is not defined
 */
export function bindService(root: Root, { name, handlers }: DemoService): ServerBinding {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const method of root.lookupService(name).methodsArray) {
    const handler = handlers[method.name];
    if (handler === undefined) throw new Error(`${name}.${method.name} has no handler`);
    method.resolve();
    const request = messageCodec(method.resolvedRequestType!);
    const response = messageCodec(method.resolvedResponseType!);
    definition[method.name] = {
      path: `/${name}/${method.name}`,
      requestStream: false,
      responseStream: typeof handler !== "function",
      requestSerialize: request.serialize,
      requestDeserialize: request.deserialize,
      responseSerialize: response.serialize,
      responseDeserialize: response.deserialize,
    };
    implementation[method.name] =
      typeof handler === "function" ? handleUnary(handler) : handleStream(handler);
  }
  return { definition, implementation };
}

/** Reads and writes the messages of a type as handlers know them. */
export function messageCodec(type: Type) {
  return {
    serialize: (value: object): Buffer => Buffer.from(type.encode(type.fromObject(value)).finish()),
    deserialize: (wire: Buffer): object =>
      type.toObject(type.decode(wire), { defaults: true, longs: String, enums: String }),
  };
}

function handleUnary(handler: UnaryHandler): handleUnaryCall<object, object> {
  return async (call, callback) => {
    const responseMetadata = new Metadata();
    try {
      const response = await handler(call.request, { metadata: call.metadata, responseMetadata });
      call.sendMetadata(responseMetadata);
      callback(null, response);
    } catch (error) {
      callback(failureOf(error));
    }
  };
}

function handleStream({ responses }: StreamHandler): handleServerStreamingCall<object, object> {
  return call => {
    const responseMetadata = new Metadata();
    try {
      const all = responses(call.request, { metadata: call.metadata, responseMetadata });
      call.sendMetadata(responseMetadata);
      // They are in memory as it is: nothing is won by waiting until they are read.
      for (const response of all) call.write(response);
      call.end();
    } catch (error) {
      call.emit("error", failureOf(error));
    }
  };
}

function failureOf(error: unknown): Partial<StatusObject> {
  if (error instanceof RpcError) return statusOf(error);
  process.emitWarning(error instanceof Error ? error : String(error));
  return { code: Code.INTERNAL, details: "internal error" };
}
