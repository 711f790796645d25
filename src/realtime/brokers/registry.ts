import type { TObject } from "typebox";
import { choice, type Loaded, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import type { Broker, BrokerOptions } from "./broker.js";
import { MemoryBroker } from "./memory-broker.js";

/** A kind of broker; clients of servers are loaded only where they are used. */
export interface BrokerType<Schema extends TObject = TObject> {
  readonly schema: Schema;
  /** Schemes of `url`; none for a broker without a server. */
  readonly schemes: readonly string[];
  /** Whether `url` may name several servers. */
  readonly cluster: boolean;
  /** The broker, not yet started. */
  create(options: BrokerOptions): Promise<Broker>;
}

/** Names of rooms and messages in a server that several gateways, or other programs, share. */
const prefix = text("token", {
  description:
    "What the broker's keys and subjects begin with: gateways with the same one share their rooms.",
  default: "protogate",
});

const memory = {
  schema: mapping(
    { type: choice(["memory"], { description: "In this process alone." }) },
    "Rooms of one process.",
  ),
  schemes: [],
  cluster: false,
  create: async ({ history }) => new MemoryBroker(history),
} satisfies BrokerType;

const nats = {
  schema: mapping(
    {
      type: choice(["nats"], { description: "NATS with JetStream." }),
      url: text("nonempty", {
        description: "nats://host:port or tls://host:port, several with commas between.",
      }),
      prefix,
    },
    "Rooms that several gateways share through NATS.",
  ),
  schemes: ["nats:", "tls:"],
  cluster: true,
  create: async options => (await import("./nats-broker.js")).createNatsBroker(options),
} satisfies BrokerType;

const redis = {
  schema: mapping(
    {
      type: choice(["redis"], { description: "Redis 6.2 or later." }),
      url: text("nonempty", { description: "redis://host:port/db or rediss://host:port/db." }),
      prefix,
    },
    "Rooms that several gateways share through Redis.",
  ),
  schemes: ["redis:", "rediss:"],
  cluster: false,
  create: async options => (await import("./redis-broker.js")).createRedisBroker(options),
} satisfies BrokerType;

/** Every kind of broker by its `type`; a new one is its own file and an entry here. */
export const brokerTypes = { memory, nats, redis } as const;

/** `realtime.broker` */
export const brokerSchema = Type.Union([memory.schema, nats.schema, redis.schema], {
  description: "What connects the rooms of several gateways: one of the types memory, nats and redis.",
});
export type BrokerConfig = Loaded<typeof brokerSchema>;

/** The broker of a configuration, not yet started. */
export async function loadBroker(
  config: BrokerConfig,
  context: Pick<BrokerOptions, "history" | "logger">,
): Promise<Broker> {
  const server = "url" in config ? config : { url: "", prefix: "" };
  return brokerTypes[config.type].create({ url: server.url, prefix: server.prefix, ...context });
}
