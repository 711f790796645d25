import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";

// Run by EchoBackend: a gRPC server on the port of the command line, which answers what it was asked.

const identity = (bytes: Buffer): Buffer => bytes;
const server = new Server();
for (const name of ["Get", "Create"]) {
  const method = {
    path: `/test.v1.Echo/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService(
    { [name]: method },
    {
      [name]: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
        reply(null, call.request),
    },
  );
}
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), error => {
  if (error !== null) throw error;
});
