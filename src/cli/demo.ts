import { fileURLToPath } from "node:url";
import { startDemoBackend } from "../demo/backend.js";
import { startGateway } from "../gateway/gateway.js";
import { readArguments } from "./arguments.js";
import { untilSignalled } from "./serve.js";

const file = fileURLToPath(new URL("../../config/gateway.yaml", import.meta.url));

/** Runs the demo gateway in front of its own gRPC backend and prints what to try. */
export async function demo(args: readonly string[]): Promise<number> {
  readArguments("demo", args, []);
  return untilSignalled(async () => {
    const backend = await startDemoBackend();
    const env = { ...process.env, DEMO_BACKEND_PORT: String(backend.port) };
    const gateway = await startGateway(file, { env });
    process.stdout.write(welcome(gateway.httpPort, gateway.adminPort, backend.port));
    return {
      reload: () => gateway.reload(),
      close: async () => {
        await gateway.close();
        await backend.close();
      },
    };
  });
}

function welcome(http: number, admin: number, backend: number): string {
  const base = `http://localhost:${http}`;
  return `
Protogate is running: REST on ${base}, admin on http://127.0.0.1:${admin}, demo gRPC backend on 127.0.0.1:${backend}.
Try:

  curl ${base}/v1/articles
  curl '${base}/v1/messages/123456?revision=2&sub.subfield=foo'
  curl -i ${base}/rooms/Nowhere
  curl -s http://127.0.0.1:${admin}/metrics | grep protogate_http_requests_total

The configuration is ${file}. Stop with Ctrl-C.
`;
}
