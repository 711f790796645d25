import { fileURLToPath } from "node:url";
import { LoadError } from "../config/diagnostic.js";
import { type DemoBackend, startDemoBackend } from "../demo/backend.js";
import { chatPage } from "../demo/chat-page.js";
import { startGateway } from "../gateway/gateway.js";
import type { Gateway } from "../gateway/gateway-options.js";
import { type Arguments, readArguments } from "./arguments.js";
import { untilSignalled } from "./serve.js";
import { table } from "./table.js";

const own = fileURLToPath(new URL("../../config/gateway.yaml", import.meta.url));

/**
 * Runs a configuration, the demo's own unless another is given, in front of the demo's backend, and prints commands to
 * try. The configuration refers to the backend by `DEMO_BACKEND_PORT` and, for tRPC, `DEMO_TRPC_PORT`.
 */
export async function demo(args: readonly string[]): Promise<number> {
  const { config } = readArguments(args, { options: ["config"], config: own });
  const isOwn = config.files[0] === own;
  return untilSignalled(async () => {
    const backend = await startDemoBackend();
    const env = {
      ...process.env,
      DEMO_BACKEND_PORT: String(backend.port),
      DEMO_TRPC_PORT: String(backend.trpcPort),
    };
    const gateway = await startGateway(config, { env, endpoints: isOwn ? chatPage() : [] }).catch(
      async error => {
        await backend.close();
        throw withPorts(error);
      },
    );
    const addresses = addressesOf(gateway, backend, config);
    const hints = isOwn ? hintsOf(gateway) : `The first lines of ${config.files[0]} have commands to try.\n`;
    process.stdout.write(
      `\nProtogate is running.\n\n${table(addresses)}\n${hints}\nStop with Ctrl-C. The log follows, one line for each request.\n`,
    );
    return {
      reload: () => gateway.reload(),
      close: async () => {
        await gateway.close();
        await backend.close();
      },
    };
  });
}

/** Adds how other ports are chosen, where a port is the problem. */
function withPorts(error: unknown): unknown {
  if (!(error instanceof LoadError) || !error.diagnostics.some(({ path }) => path?.startsWith("listeners.")))
    return error;
  return new Error(
    `${error.message}\nOther ports: HTTP_PORT=8000 REALTIME_PORT=8001 ADMIN_PORT=9000 npm start (they are 8080, 8081 and 9090)`,
  );
}

function addressesOf(
  { httpPort, realtimePort, adminPort }: Gateway,
  backend: DemoBackend,
  { files }: Arguments["config"],
): string[][] {
  const isOwn = files[0] === own;
  return [
    ["  REST", `http://localhost:${httpPort}`],
    ...(isOwn
      ? [
          ["  chat page", `http://localhost:${httpPort}/demo`],
          ["  documents", `http://localhost:${httpPort}/docs`],
        ]
      : []),
    ...(realtimePort === 0 ? [] : [["  WebSockets", `ws://localhost:${realtimePort}${isOwn ? "/ws" : ""}`]]),
    ["  admin", `http://127.0.0.1:${adminPort}`],
    ["  gRPC backend", `127.0.0.1:${backend.port}`],
    ["  tRPC backend", `127.0.0.1:${backend.trpcPort}`],
    ["  configured by", files.join(", ")],
  ];
}

function hintsOf({ httpPort, realtimePort, adminPort }: Gateway): string {
  const base = `http://localhost:${httpPort}`;
  const admin = `http://127.0.0.1:${adminPort}`;
  const json = "-H 'content-type: application/json'";
  // Node.js 20 has it, but hides it.
  const websocket = typeof WebSocket === "undefined" ? "node --experimental-websocket" : "node";
  return `Try, in another terminal:

  REST in front of gRPC
    curl ${base}/v1/articles
    curl '${base}/v1/messages/123456?revision=2&sub.subfield=foo'
    curl -i ${base}/rooms/Nowhere

  REST in front of tRPC
    curl ${base}/trpc/v1/users/me/messages/123456

  The room of the chat page from a terminal, and as REST (open the page beside it)
    ${websocket} -e 'const s = new WebSocket("ws://localhost:${realtimePort}/ws"), say = frame => s.send(JSON.stringify({ room_id: "general", from: "Terminal", ...frame })); s.onmessage = ({ data }) => console.log(data); s.onopen = () => { say({ type: "join-room" }); say({ type: "send-message", message: "Hello" }); }'
    curl ${base}/chat/send ${json} -d '{"room_id":"general","from":"Curl","message":"Hello"}'
    curl ${base}/chat/receive ${json} -d '{"room_id":"general"}'

  What has happened in that room as a stream of events, and by Connect
    curl ${base}/chat/rooms/general/entries -H 'accept: text/event-stream'
    curl ${base}/chat.v1.Rooms/GetHistory ${json} -d '{"roomId":"general"}'

  OpenIM Chat: log in, and call with the token
    token=$(curl -s ${base}/account/login -H 'operationID: 1' ${json} -d '{"account":"jdoe","password":"xxx"}' | grep -o 'eyJ[^"]*')
    curl ${base}/user/rtc/get_token -H 'operationID: 1' -H "token: $token" ${json} -d '{"room":"standup","identity":"1001"}'

  What the gateway counted
    curl -s ${admin}/metrics | grep -E 'protogate_(http_requests_total|ws_connections)'
`;
}
