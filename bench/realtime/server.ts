/** A server of rooms: `ENTRANT` says which. Each sends what one member says to all members of one room. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Registry } from "prom-client";
import { Server as SocketIo } from "socket.io";
import { type WebSocket, WebSocketServer } from "ws";
import type { Identity } from "../../src/auth/identity.js";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import { startRealtimeListener } from "../../src/gateway/realtime-listener.js";
import { loadUws } from "../../src/net/uws-addon.js";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { createNatsBroker } from "../../src/realtime/brokers/nats-broker.js";
import { createRedisBroker } from "../../src/realtime/brokers/redis-broker.js";
import { RealtimeMetrics } from "../../src/realtime/metrics.js";
import { Realtime } from "../../src/realtime/realtime.js";
import { plainRoom, RoomKinds } from "../../src/realtime/rooms/room-kinds.js";
import { parseRoomPattern, type RoomPattern } from "../../src/realtime/rooms/room-pattern.js";
import { answers } from "../process/control-probe.js";
import type { OwnEntrantName } from "./entrants.js";

const starts: Readonly<Record<OwnEntrantName, () => Promise<number>>> = {
  protogate: startProtogate,
  uws: startUws,
  "socket.io": startSocketIo,
  ws: startWs,
};

/** The gateway's rooms as they ship: authentication, places, history, limits and metrics on. */
async function startProtogate(): Promise<number> {
  const history = {
    messages: Number(process.env.HISTORY ?? 100),
    ttl: 3_600_000,
    maxBytes: 64 * 1024 ** 2,
  };
  const shared = { url: process.env.BROKER ?? "", prefix: "bench", history, logger: undefined };
  const realtime = new Realtime({
    broker: shared.url.startsWith("redis:")
      ? createRedisBroker(shared)
      : shared.url.startsWith("nats:")
        ? createNatsBroker(shared)
        : new MemoryBroker(history),
    metrics: new RealtimeMetrics(new Registry()),
    logger: undefined,
    settings: {
      origins: new RequestOrigins([], 0),
      authenticator: caller => identityOf(caller.header("authorization") ?? ""),
      limiters: [],
      roomPolicy: undefined,
      bridge: undefined,
      sentAt: "seconds",
      kinds: new RoomKinds([
        { pattern: pattern("quiet-*"), kind: { ...plainRoom, notices: "off" }, history },
        { pattern: pattern("*"), kind: plainRoom, history },
      ]),
      limits: {
        message: 65_536,
        roomsPerConnection: 128,
        messagesPerSecond: 1_000_000,
        burst: 1_000_000,
        connections: 100_000,
      },
      backpressure: {
        max: Number(process.env.BACKPRESSURE ?? 1024 ** 2),
        policy: process.env.POLICY === "drop" ? "drop" : "close",
      },
    },
  });
  await realtime.start();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  answers.set("stall", () => {
    const longest = Math.round(delay.max / 1e6);
    delay.reset();
    return String(longest);
  });
  answers.set("census", () => JSON.stringify(realtime.counts()));
  const { port } = await startRealtimeListener(realtime, {
    engine: process.env.SOCKET_ENGINE === "portable" ? "portable" : "uws",
    host: "127.0.0.1",
    port: Number(process.env.PORT ?? 0),
    tls: undefined,
    headerLimit: 16_384,
    requestTimeout: 30_000,
    handle: (_request, response) => response.send(404, [], ""),
    refused: () => {},
    sockets: { path: "/ws", messageLimit: 65_536, idleTimeout: 60_000, deflate: false, trustedHops: 0 },
  });
  return port;
}

function pattern(text: string): RoomPattern {
  const parsed = parseRoomPattern(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

/** One object for each client, as a provider makes it. */
function identityOf(authorization: string): Identity {
  const subject = authorization.slice("Bearer ".length);
  return {
    provider: "bench",
    subject,
    scopes: new Set(["chat"]),
    claims: { sub: subject, scope: "chat" },
    metadata: [],
    expiresAt: undefined,
  };
}

/** Nothing but what uWebSockets.js itself needs. */
async function startUws(): Promise<number> {
  const uws = await loadUws(24_576);
  const app = uws.App();
  app.ws("/ws", {
    maxPayloadLength: 65_536,
    idleTimeout: 60,
    maxBackpressure: 1024 ** 2,
    open: ws => void ws.subscribe("room"),
    message: (_, message, isBinary) => void app.publish("room", message, isBinary),
  });
  return new Promise((resolve, reject) => {
    app.listen("127.0.0.1", 0, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, socket => {
      if (socket === false) reject(new Error("uWebSockets.js cannot listen"));
      else resolve(uws.us_socket_local_port(socket));
    });
  });
}

function startSocketIo(): Promise<number> {
  const http = createServer();
  const io = new SocketIo(http, { serveClient: false, transports: ["websocket"], perMessageDeflate: false });
  io.on("connection", socket => {
    void socket.join("room");
    socket.on("message", message => io.to("room").emit("message", message));
  });
  return listening(http);
}

function startWs(): Promise<number> {
  const http = createServer();
  const members = new Set<WebSocket>();
  new WebSocketServer({ server: http, perMessageDeflate: false }).on("connection", socket => {
    members.add(socket);
    socket.on("close", () => members.delete(socket));
    socket.on("message", (message, binary) => {
      for (const member of members) member.send(message, { binary });
    });
  });
  return listening(http);
}

function listening(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise(resolve => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

const start = starts[process.env.ENTRANT as OwnEntrantName];
console.log(`listening ${await start()}`);
