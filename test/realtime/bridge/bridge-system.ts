import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import type { Identity } from "../../../src/auth/identity.js";
import type { Diagnostic } from "../../../src/config/diagnostic.js";
import { loadModel } from "../../../src/descriptors/load/load.js";
import type { Model } from "../../../src/descriptors/model.js";
import type { GatewayConfig } from "../../../src/gateway/config.js";
import { loadConfig } from "../../../src/gateway/config.js";
import type { Session } from "../../../src/realtime/bridge/bridge.js";
import { BridgeMetrics } from "../../../src/realtime/bridge/bridge-metrics.js";
import type { BridgePlan, CallCheck } from "../../../src/realtime/bridge/bridge-plan.js";
import type { BridgeConfig } from "../../../src/realtime/bridge/compile-bridge.js";
import { compileBridge } from "../../../src/realtime/bridge/compile-bridge.js";
import { createBridge, type RpcBridge } from "../../../src/realtime/bridge/rpc-bridge.js";
import type { Channel } from "../../../src/upstream/channel.js";
import { createChannel } from "../../../src/upstream/create-channel.js";
import { roomsProto } from "./rooms-backend.js";

export interface Compiled {
  readonly config: GatewayConfig;
  readonly model: Model;
  readonly diagnostics: readonly Diagnostic[];
  readonly plan: BridgePlan;
}

export const bridgeDefaults: BridgeConfig = {
  events: {},
  calls: [],
  bridge: { concurrency: 100, queue: 100, streams: 100, calls_per_connection: 16 },
};

/** Compiles a `realtime` section against the proto of the tests. */
export async function compileTestBridge(
  realtime: Partial<BridgeConfig>,
  services = "[{ service: chat.v1.Calls, upstream: chat }]",
  port = 1,
): Promise<Compiled> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-bridge-"));
  try {
    writeFileSync(join(folder, "rooms.proto"), roomsProto);
    const file = join(folder, "gateway.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: . }]
upstreams: { chat: { targets: ["127.0.0.1:${port}"], timeout: 5s } }
services: ${services}
`,
    );
    const loaded = loadConfig(file, {});
    if (loaded.config === undefined) throw new Error(JSON.stringify(loaded.diagnostics));
    const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
    const all = { ...bridgeDefaults, ...realtime };
    const { plan, diagnostics } = compileBridge(loaded.config, all, model, () => ({
      file,
      line: 1,
      column: 1,
    }));
    return { config: loaded.config, model, diagnostics, plan };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface BridgeSystem {
  readonly bridge: RpcBridge;
  readonly plan: BridgePlan;
  readonly channel: Channel;
  /** The value of a metric line that begins so; 0 where there is none. */
  metric(start: string): Promise<number>;
  close(): Promise<void>;
}

/** A bridge to the backend on a port. */
export async function startBridge(
  realtime: Partial<BridgeConfig>,
  port: number,
  check: CallCheck = () => undefined,
): Promise<BridgeSystem> {
  const { plan, diagnostics } = await compileTestBridge(realtime, undefined, port);
  if (diagnostics.some(each => each.severity === "error")) throw new Error(JSON.stringify(diagnostics));
  const registry = new Registry();
  const bridge = createBridge(new BridgeMetrics(registry, [0.01, 1]));
  const channel = createChannel({
    name: "chat",
    targets: [`127.0.0.1:${port}`],
    balancing: "round_robin",
    transport: "lean",
    maxMessageSize: 4 << 20,
  });
  bridge.use({ plan, channels: new Map([["chat", channel]]), check });
  return {
    bridge,
    plan,
    channel,
    metric: async start => {
      const line = (await registry.metrics()).split("\n").find(each => each.startsWith(start));
      return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ") + 1));
    },
    close: async () => {
      await bridge.close();
      await channel.close();
    },
  };
}

/** A session whose client is played by the test. */
export interface TestSession extends Session {
  readonly frames: Record<string, unknown>[];
  /** Bytes that the client has not read. */
  buffered: number;
  closed: boolean;
  /** False makes `send` refuse. */
  takes: boolean;
  /** Resolves with the first frame, old or new, that fits; each is given once. */
  next(fits?: (frame: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
}

let sessions = 0;

export function testSession(subject = "jdoe", identity?: Identity): TestSession {
  const frames: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  const taken = new Set<object>();
  const session: TestSession = {
    id: `s${++sessions}`,
    identity,
    subject,
    clientAddress: "192.0.2.7",
    requestId: "req-1",
    frames,
    buffered: 0,
    closed: false,
    takes: true,
    send(text) {
      if (session.closed || !session.takes) return false;
      frames.push(JSON.parse(text) as Record<string, unknown>);
      for (const look of waiting) look();
      return true;
    },
    next: (fits = () => true) =>
      new Promise(resolve => {
        const look = (): void => {
          const found = frames.find(each => !taken.has(each) && fits(each));
          if (found === undefined) return;
          taken.add(found);
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
  return session;
}
