import { Metadata } from "@grpc/grpc-js";
import type { Root } from "protobufjs";
import { RpcError } from "../rpc-error.js";
import { type DemoService, messageCodec } from "../service.js";
import type { TrpcMethod } from "./server.js";

/**
 * The methods of a service for a tRPC server. A handler that fails ends in the business's own code, `func_ret`; there are
 * no details in tRPC.
 *
 * @throws Error when a method of the service has no handler, streams, or a type is not defined
 */
export function bindTrpc(
  root: Root,
  { name, handlers }: DemoService,
): (readonly [path: string, TrpcMethod])[] {
  return root.lookupService(name).methodsArray.map(method => {
    const handler = handlers[method.name];
    if (typeof handler !== "function") throw new Error(`${name}.${method.name} has no unary handler`);
    method.resolve();
    const request = messageCodec(method.resolvedRequestType!);
    const response = messageCodec(method.resolvedResponseType!);
    const serve: TrpcMethod = async ({ header, body }) => {
      let message: object;
      try {
        message = request.deserialize(body);
      } catch (error) {
        return {
          ret: 1,
          message: `service codec Unmarshal: ${error instanceof Error ? error.message : error}`,
        };
      }
      const metadata = new Metadata();
      for (const [key, value] of header.metadata())
        if (/^[\w.-]+$/.test(key) && !key.endsWith("-bin")) metadata.set(key, value);
      try {
        return {
          body: response.serialize(await handler(message, { metadata, responseMetadata: new Metadata() })),
        };
      } catch (error) {
        if (error instanceof RpcError) return { funcRet: error.code, message: error.message };
        throw error;
      }
    };
    return [`/${name}/${method.name}`, serve] as const;
  });
}
