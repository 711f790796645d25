/** The upstream where Go is absent: grpc-js, bytes in and bytes out. bench/peers/upstream says what it answers. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type handleUnaryCall, Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";

const folder = process.env.REPLIES ?? "";
const same = (bytes: Buffer): Buffer => bytes;
const definition: Record<string, ServiceDefinition[string]> = {};
const handlers: Record<string, handleUnaryCall<Buffer, Buffer>> = {};

for (const file of readdirSync(folder)) {
  const name = file.replace(/(\.echo)?\.bin$/, "");
  const reply = readFileSync(join(folder, file));
  definition[name] = {
    path: `/bench.v1.BenchService/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  handlers[name] = file.endsWith(".echo.bin")
    ? (call, done) => done(null, Buffer.concat([reply, field2(call.request.length), call.request]))
    : (_call, done) => done(null, reply);
}

/** Tag and length of field 2. */
function field2(length: number): Buffer {
  const bytes = [(2 << 3) | 2];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const server = new Server();
server.addService(definition, handlers);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`listening ${port}\n`);
});
