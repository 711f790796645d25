/** The upstream where Go is absent: grpc-js, bytes in and bytes out. bench/peers/upstream says what it answers. */

import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";

const folder = process.env.REPLIES ?? "";
const same = (bytes: Buffer): Buffer => bytes;
const definition: Record<string, ServiceDefinition[string]> = {};
const handlers: Record<string, handleUnaryCall<Buffer, Buffer> | handleServerStreamingCall<Buffer, Buffer>> =
  {};

for (const file of readdirSync(folder)) {
  const name = file.replace(/(\.echo|\.stream)?\.bin$/, "");
  const stream = file.endsWith(".stream.bin");
  const reply = readFileSync(join(folder, file));
  definition[name] = {
    path: `/bench.v1.BenchService/${name}`,
    requestStream: false,
    responseStream: stream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  if (stream) {
    handlers[name] = repeated(reply);
    continue;
  }
  handlers[name] = file.endsWith(".echo.bin")
    ? (call, done) => done(null, Buffer.concat([reply, fieldHead(2, call.request.length), call.request]))
    : (_call, done) => done(null, reply);
}

/** As often, as slowly and with as large a text as the request says. */
function repeated(reply: Buffer): handleServerStreamingCall<Buffer, Buffer> {
  return async call => {
    const [count = 0, interval = 0, size = 0] = numbersOf(call.request);
    const message = size === 0 ? reply : Buffer.concat([reply, fieldHead(6, size), Buffer.alloc(size, "x")]);
    for (let sent = 0; sent < count && !call.cancelled; sent += 1) {
      if (!call.write(message)) await once(call, "drain");
      if (interval > 0) await pause(interval);
    }
    call.end();
  };
}

/** The numbers of a message that has nothing else, from field 1 on. */
function numbersOf(message: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < message.length; ) {
    const field = (message[at++] as number) >> 3;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    numbers[field - 1] = value;
  }
  return numbers;
}

/** Tag and length of a field. */
function fieldHead(field: number, length: number): Buffer {
  const bytes = [(field << 3) | 2];
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
