import { fileURLToPath } from "node:url";
import { startDemoBackend } from "../demo/backend.js";
import { chatPage } from "../demo/chat-page.js";
import { type Gateway, startGateway } from "../gateway/gateway.js";
import { readArguments } from "./arguments.js";
import { untilSignalled } from "./serve.js";

const file = fileURLToPath(new URL("../../config/gateway.yaml", import.meta.url));

/** Runs the demo gateway in front of its own gRPC backend and prints what to try. */
export async function demo(args: readonly string[]): Promise<number> {
  readArguments("demo", args, []);
  return untilSignalled(async () => {
    const backend = await startDemoBackend();
    const env = { ...process.env, DEMO_BACKEND_PORT: String(backend.port) };
    const gateway = await startGateway(file, { env, endpoints: chatPage() }).catch(async error => {
      await backend.close();
      throw error;
    });
    process.stdout.write(welcome(gateway, backend.port));
    return {
      reload: () => gateway.reload(),
      close: async () => {
        await gateway.close();
        await backend.close();
      },
    };
  });
}

function welcome({ httpPort, realtimePort, adminPort }: Gateway, backendPort: number): string {
  const base = `http://localhost:${httpPort}`;
  const admin = `http://127.0.0.1:${adminPort}`;
  const json = "-H 'content-type: application/json'";
  // Node.js 20 has it, but hides it.
  const websocket = typeof WebSocket === "undefined" ? "node --experimental-websocket" : "node";
  return `
Protogate is running: REST on ${base}, WebSockets on ws://localhost:${realtimePort}/ws, admin on ${admin}, demo gRPC backend on 127.0.0.1:${backendPort}.
Try:

  REST in front of gRPC
    curl ${base}/v1/articles
    curl '${base}/v1/messages/123456?revision=2&sub.subfield=foo'
    curl -i ${base}/rooms/Nowhere

  A chat: open this page twice, and talk to yourself
    ${base}/demo

  The same room from a terminal, and as REST
    ${websocket} -e 'const s = new WebSocket("ws://localhost:${realtimePort}/ws"), say = frame => s.send(JSON.stringify({ room_id: "general", from: "Terminal", ...frame })); s.onmessage = ({ data }) => console.log(data); s.onopen = () => { say({ type: "join-room" }); say({ type: "send-message", message: "Hello" }); }'
    curl ${base}/chat/send ${json} -d '{"room_id":"general","from":"Curl","message":"Hello"}'
    curl ${base}/chat/receive ${json} -d '{"room_id":"general"}'

  OpenIM Chat: log in, and call with the token
    token=$(curl -s ${base}/account/login -H 'operationID: 1' ${json} -d '{"account":"jdoe","password":"xxx"}' | grep -o 'eyJ[^"]*')
    curl ${base}/user/rtc/get_token -H 'operationID: 1' -H "token: $token" ${json} -d '{"room":"standup","identity":"1001"}'

  What the gateway counted
    curl -s ${admin}/metrics | grep -E 'protogate_(http_requests_total|ws_connections)'

The configuration is ${file}. Stop with Ctrl-C.
`;
}
