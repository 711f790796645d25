import http from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import type { Identity } from "../../src/auth/identity.js";
import type { LocalHandler, LocalResponse } from "../../src/bindings/built-in-route.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { descriptorInputs } from "../../src/gateway/compile.js";
import type { GatewayConfig } from "../../src/gateway/config.js";
import { deliveredEvents } from "../../src/livekit/idempotency-cache.js";
import { createLiveKit, type LiveKit } from "../../src/livekit/livekit.js";
import { LiveKitMetrics } from "../../src/livekit/metrics.js";
import type { RoomMessage } from "../../src/livekit/parts.js";
import { Removals } from "../../src/livekit/removals.js";
import { Cancellation } from "../../src/net/cancellation.js";
import { RouterBuilder } from "../../src/routing/router.js";
import { parseTemplate } from "../../src/routing/template-parser.js";
import { type Failure, GatewayError, gatewayFailure } from "../../src/status/failure.js";
import type { Channel } from "../../src/upstream/channel.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import { Workspace } from "../config/workspace.js";

export const apiKey = "APIkey";
export const apiSecret = "a secret of at least thirty-two characters";

export const roomsProto = `
syntax = "proto3";
package rooms.v1;
import "google/protobuf/empty.proto";
service Rooms {
  rpc Enter(EnterRequest) returns (google.protobuf.Empty);
  rpc Happened(Event) returns (google.protobuf.Empty);
  rpc Watch(Event) returns (stream Event);
}
message EnterRequest {
  string room = 1;
  string identity = 2;
  Who who = 3;
  int32 level = 4;
}
message Who { string login = 1; }
message Event {
  string event = 1;
  string id = 2;
  int64 created_at = 3;
  Room room = 4;
}
message Room { string name = 1; int64 creation_time = 2; }
`;

export interface SystemOptions {
  /** Port of the gRPC backend behind the upstream `rooms`. */
  readonly upstream?: number;
  readonly removals?: Removals;
  readonly publish?: (room: string, message: RoomMessage) => void | Promise<void>;
}

const grants = `
  grants:
    participant: { roomJoin: true, canPublish: true, canSubscribe: true }
    speaker: { roomJoin: true, canPublishSources: [microphone, screen_share], hidden: false }
`;

/** The configuration around a section `livekit`, of which address, keys and, unless it begins with them, grants are given. */
export function configuration(livekit: string, upstreamPort = 1): string {
  return `
listeners: { http: { address: "127.0.0.1:0" } }
descriptors: [{ protos: ./protos }]
upstreams: { rooms: { targets: ["127.0.0.1:${upstreamPort}"], timeout: 2s } }
auth:
  default: [users]
  providers:
    users: { type: jwt, secret: "another secret of thirty-two characters", algorithms: [HS256] }
livekit:
  url: wss://livekit.example.com
  api_key: ${apiKey}
  api_secret: ${apiSecret}
${livekit.startsWith("grants:") ? "" : grants}
${livekit.replace(/^/gm, "  ")}
`;
}

/** A section compiled as the gateway would, without listening. */
export async function compileLiveKit(
  workspace: Workspace,
  yaml: string,
  options: SystemOptions = {},
): Promise<LiveKit & { readonly registry: Registry; readonly log: unknown[]; close(): Promise<void> }> {
  workspace.write("protos/rooms.proto", roomsProto);
  const loaded = workspace.load(yaml);
  const config: GatewayConfig = loaded.config ?? workspace.config(yaml);
  const { model } = await loadModel(descriptorInputs(config, new Map()));
  const registry = new Registry();
  const log: unknown[] = [];
  const channels = new Map<string, Channel>();
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const { targets, balancing, transport } = upstream;
    const channel = createChannel({
      name,
      targets,
      balancing,
      transport,
      maxMessageSize: 4 << 20,
      userAgent: "test",
    });
    channels.set(name, channel);
  }
  if (config.livekit === undefined) throw new Error("the configuration has no section livekit");
  const livekit = createLiveKit(config, config.livekit, {
    model,
    channel: name => channels.get(name) as Channel,
    metrics: new LiveKitMetrics(registry),
    removals: options.removals ?? new Removals(),
    delivered: deliveredEvents(undefined),
    publish: options.publish,
    log: (level, fields, message) => log.push({ level, message, ...fields }),
    locate: path => loaded.locate(path),
  });
  const close = async (): Promise<void> => {
    for (const channel of channels.values()) await channel.close();
  };
  return { ...livekit, registry, log, close };
}

export interface LiveKitSystem {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly livekit: LiveKit;
  readonly log: unknown[];
  metrics(): Promise<string>;
  close(): Promise<void>;
}

/**
 * The endpoints of a section behind a plain HTTP server. Who calls is believed: `x-subject`, `x-claims` (JSON) and
 * `x-scopes`.
 */
export async function startLiveKit(livekit: string, options: SystemOptions = {}): Promise<LiveKitSystem> {
  const workspace = new Workspace();
  const compiled = await compileLiveKit(workspace, configuration(livekit, options.upstream), options);
  const builder = new RouterBuilder<LocalHandler>();
  for (const endpoint of compiled.endpoints) {
    builder.add(endpoint.method, parseTemplate(endpoint.template), endpoint);
  }
  const router = builder.build();
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", chunk => chunks.push(chunk));
    request.on("end", async () => {
      const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
      const match = router.match(request.method ?? "GET", path);
      if (match.kind !== "found") {
        response.writeHead(404).end();
        return;
      }
      const answer = await Promise.resolve(
        match.value.handle({
          method: request.method ?? "GET",
          path,
          query,
          variables: match.variables,
          body: Buffer.concat(chunks),
          identity: identityOf(request.headers),
          clientAddress: "127.0.0.1",
          requestId: "request-1",
          cancellation: new Cancellation(),
          header: name => {
            const value = request.headers[name];
            return Array.isArray(value) ? value.join(", ") : value;
          },
          cookies: () => request.headers.cookie,
          encrypted: false,
          certificate: () => undefined,
          guardResult: undefined,
        }),
      ).catch(error => failureAnswer(match.value, error));
      response.writeHead(answer.status, answer.headers.flat());
      response.end(answer.body);
    });
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    livekit: compiled,
    log: compiled.log,
    metrics: () => compiled.registry.metrics(),
    close: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      await compiled.close();
    },
  };
}

function identityOf(headers: http.IncomingHttpHeaders): Identity | undefined {
  const subject = headers["x-subject"];
  if (typeof subject !== "string") return undefined;
  const claims = JSON.parse(String(headers["x-claims"] ?? "{}")) as Record<string, unknown>;
  return {
    provider: "users",
    subject: Buffer.from(subject, "latin1").toString("utf8"),
    scopes: new Set(String(headers["x-scopes"] ?? "").split(" ")),
    claims: Object.assign(Object.create(null), claims),
    metadata: [["x-user-id", subject]],
    expiresAt: undefined,
  };
}

function failureAnswer(endpoint: LocalHandler, error: unknown): LocalResponse {
  const failure: Failure =
    error instanceof GatewayError ? error.failure : gatewayFailure("INTERNAL", String(error));
  const details = failure.details.map(detail => renderDetail(detail.typeUrl, detail.value));
  const rendered = endpoint.dialect.renderFailure(failure, details, { requestId: "request-1", path: "/" });
  return {
    status: rendered.status,
    headers: [["content-type", rendered.contentType], ...failure.headers],
    body: rendered.body,
  };
}

const { model: details } = await loadModel([]);
const detailCodecs = createCodecs(details, {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "ignore",
  depth: 32,
});

function renderDetail(typeUrl: string, value: Uint8Array): string {
  return detailCodecs.renderAny(typeUrl, value);
}

/** One sample of the Prometheus text, 0 where there is none. */
export function sample(text: string, series: string): number {
  const line = text.split("\n").find(each => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
