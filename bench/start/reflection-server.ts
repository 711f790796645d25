/** An upstream that offers its descriptors by reflection, those of the set in `SET`, and does nothing else. */

import { readFileSync } from "node:fs";
import { type handleBidiStreamingCall, Server, ServerCredentials } from "@grpc/grpc-js";
import protobuf from "protobufjs";

const { root } = protobuf.parse(`syntax = "proto3";
message Set { repeated bytes file = 1; }
message File { string name = 1; string package = 2; repeated Named service = 6; }
message Named { string name = 1; }
message Request { string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; }
message Response { Files file_descriptor_response = 4; Services list_services_response = 6; Failure error_response = 7; }
message Files { repeated bytes file_descriptor_proto = 1; }
message Services { repeated Named service = 1; }
message Failure { int32 error_code = 1; string error_message = 2; }`);
const decode = <T>(type: string, bytes: Uint8Array): T => root.lookupType(type).decode(bytes) as unknown as T;

interface Named {
  readonly name: string;
}

const byName = new Map<string, Uint8Array>();
const byService = new Map<string, Uint8Array>();
for (const file of decode<{ file: Uint8Array[] }>("Set", readFileSync(process.env.SET ?? "")).file) {
  const {
    name,
    package: scope,
    service,
  } = decode<Named & { package: string; service: Named[] }>("File", file);
  byName.set(name, file);
  for (const each of service) byService.set(`${scope}.${each.name}`, file);
}
const services = [...byService.keys()].map(name => ({ name }));

interface Request {
  readonly fileByFilename: string;
  readonly fileContainingSymbol: string;
}

function answer({ fileByFilename, fileContainingSymbol }: Request): object {
  const wanted = fileByFilename || fileContainingSymbol;
  if (wanted === "") return { listServicesResponse: { service: services } };
  const file = byName.get(wanted) ?? byService.get(wanted);
  return file === undefined
    ? { errorResponse: { errorCode: 5, errorMessage: wanted } }
    : { fileDescriptorResponse: { fileDescriptorProto: [file] } };
}

const info: handleBidiStreamingCall<Request, object> = call => {
  call.on("data", (request: Request) => void call.write(answer(request)));
  call.on("end", () => call.end());
};
const response = root.lookupType("Response");
const server = new Server();
server.addService(
  {
    info: {
      path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      requestStream: true,
      responseStream: true,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: bytes => decode<Request>("Request", bytes),
      responseSerialize: (value: object) => Buffer.from(response.encode(response.create(value)).finish()),
      responseDeserialize: bytes => bytes,
    },
  },
  { info },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`listening ${port}\n`);
});
