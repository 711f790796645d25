import { type ServerWritableStream, status } from "@grpc/grpc-js";
import { Field, Type } from "protobufjs";
import type { ServerBinding } from "./service.js";

/** grpc/health/v1/health.proto, as far as a backend needs it that serves from its first moment to its last. */
interface HealthCheckRequest {
  readonly service: string;
}

const checkRequest = new Type("HealthCheckRequest").add(new Field("service", 1, "string"));
const serving = Buffer.from([0x08, 1]);
const serviceUnknown = Buffer.from([0x08, 3]);

/**
 * The gRPC health protocol: SERVING for the server as a whole (the empty name) and for each of the services named.
 * `Watch` sends the one state there is and stays open until its client leaves or the server shuts down.
 */
export function healthService(services: readonly string[]): ServerBinding {
  const known = new Set(["", ...services]);
  return {
    definition: { Check: method("Check", false), Watch: method("Watch", true) },
    implementation: {
      Check: (
        call: { readonly request: HealthCheckRequest },
        callback: (error: { code: number; details: string } | null, response?: Buffer) => void,
      ) => {
        if (known.has(call.request.service)) callback(null, serving);
        else callback({ code: status.NOT_FOUND, details: "no such service" });
      },
      Watch: (call: ServerWritableStream<HealthCheckRequest, Buffer>) => {
        call.write(known.has(call.request.service) ? serving : serviceUnknown);
      },
    },
  };
}

function method(name: string, responseStream: boolean) {
  return {
    path: `/grpc.health.v1.Health/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: (request: HealthCheckRequest): Buffer =>
      Buffer.from(checkRequest.encode(checkRequest.fromObject(request)).finish()),
    requestDeserialize: (wire: Buffer): HealthCheckRequest => ({
      service: checkRequest.toObject(checkRequest.decode(wire)).service ?? "",
    }),
    responseSerialize: (response: Buffer): Buffer => response,
    responseDeserialize: (wire: Buffer): Buffer => wire,
  };
}
