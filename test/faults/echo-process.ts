import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { rawMethod } from "../raw-method.js";

// Run by EchoBackend: a gRPC server at the port and host of the command line, which answers what it was asked. A stream
// has the request 20 times, or whatever came. SIGTERM ends it once it has answered all.

const server = new Server();
const add = (name: string, requestStream: boolean, responseStream: boolean, handler: unknown): void => {
  const method = rawMethod(`/test.v1.Echo/${name}`, requestStream, responseStream);
  server.addService({ [name]: method }, { [name]: handler } as never);
};
for (const name of ["Get", "Create"]) {
  add(name, false, false, (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
    reply(null, call.request),
  );
}
for (const name of ["Watch", "Find"]) {
  add(name, false, true, (call: ServerWritableStream<Buffer, Buffer>) => {
    let left = 20;
    const timer = setInterval(() => {
      call.write(call.request);
      if (--left > 0) return;
      clearInterval(timer);
      call.end();
    }, 10);
    call.on("cancelled", () => clearInterval(timer));
  });
}
add("Send", true, false, (call: ServerReadableStream<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
  let last: Buffer = Buffer.alloc(0);
  call.on("data", (message: Buffer) => {
    last = message;
  });
  call.on("end", () => reply(null, last));
});
add("Talk", true, true, (call: ServerDuplexStream<Buffer, Buffer>) => {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
});
const [, , port = "0", host = "127.0.0.1"] = process.argv;
server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), error => {
  if (error !== null) throw error;
});
process.on("SIGTERM", () => server.tryShutdown(() => process.exit()));
