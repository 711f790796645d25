import { join } from "node:path";
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { root } from "../node-script.js";

export interface Greeter {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `greeter.v1.Greeter` of a .proto file, as somebody who follows the README has it. */
export async function startGreeter(file: string): Promise<Greeter> {
  const loaded = loadPackageDefinition(loadSync(file, { includeDirs: [join(root, "protos")] }));
  const { Greeter } = (loaded.greeter as { v1: { Greeter: ServiceClientConstructor } }).v1;
  const server = new Server();
  server.addService(Greeter.service, {
    Greet({ request }: { request: { name: string } }, done: (error: null, response: object) => void) {
      done(null, { text: `Hello, ${request.name}` });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    port,
    close: () => new Promise(resolve => server.tryShutdown(() => resolve())),
  };
}
