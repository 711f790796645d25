/** An upstream that offers its descriptors by reflection, those of the set in `SET`, and does nothing else. */

import { readFileSync } from "node:fs";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

const server = new Server();
new ReflectionService(loadFileDescriptorSetFromBuffer(readFileSync(process.env.SET ?? ""))).addToServer(
  server,
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`listening ${port}\n`);
});
