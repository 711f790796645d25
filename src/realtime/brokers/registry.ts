import { existsSync } from "node:fs";
import type { TObject } from "typebox";
import { checkPath, checkServerUrls } from "../../config/check.js";
import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import { choice, type DraftOf, duration, type Loaded, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { readFileSync } from "../../net/files.js";
import { checkClientTls, readClientTls, tlsBesideUrl } from "../../upstream/client-tls.js";
import { checkRedisServers, redisServersKeys } from "../../upstream/redis/config.js";
import type { Broker, BrokerOptions } from "./broker.js";
import { MemoryBroker } from "./memory-broker.js";

type BrokerContext = Omit<BrokerOptions, "prefix">;

/** A kind of broker; clients of servers are loaded only where they are used. */
interface BrokerType<Schema extends TObject = TObject> {
  readonly schema: Schema;
  check?(at: Path, config: DraftOf<Loaded<Schema>>, findings: Findings): void;
  /** The broker, not yet started. Loading has tried its files. */
  create(config: Loaded<Schema>, context: BrokerContext): Promise<Broker>;
}

/** Names of rooms and messages in a server that several gateways, or other programs, share. */
const prefix = text("token", {
  description:
    "What the broker's keys and subjects begin with: gateways with the same one share their rooms.",
  default: "protogate",
});

const lease = duration(
  {
    description:
      "How long the others wait for a gateway that is silent, before they announce that its members have left, and feed its rooms. The same on all gateways.",
    default: "15s",
  },
  2000,
  300_000,
);

const MemorySchema = mapping(
  { type: choice(["memory"], { description: "In this process alone." }) },
  "Rooms of one process.",
);

const memory = {
  schema: MemorySchema,
  create: async (_, { history }) => new MemoryBroker(history),
} satisfies BrokerType<typeof MemorySchema>;

const NatsSchema = mapping(
  {
    type: choice(["nats"], { description: "NATS with JetStream." }),
    url: text("nonempty", {
      description:
        "nats://user:password@host:port or tls://host:port, several with commas between. A user without password is a token.",
    }),
    prefix,
    lease,
    tls: tlsBesideUrl,
    credentials: Type.Optional(
      text("keyPath", { description: "File with the JWT and the seed of a user (`.creds`)." }),
    ),
  },
  "Rooms that several gateways share through NATS.",
);

const nats = {
  schema: NatsSchema,
  check: (at, config, findings) => {
    checkPrefix(at, config, findings);
    checkClientTls([...at, "tls"], config.tls, findings);
    const urls = checkServerUrls([...at, "url"], config.url, ["nats:", "tls:"], findings);
    if (config.credentials === undefined) return;
    checkCredentials([...at, "credentials"], config.credentials, findings);
    if (urls.some(({ username }) => username !== ""))
      findings.error([...at, "credentials"], "the URL has a user, too; expected one of them");
  },
  create: async ({ tls, credentials, lease: leaseMs, ...config }, context) =>
    (await import("./nats-broker.js")).createNatsBroker({
      ...config,
      ...context,
      leaseMs,
      tls: readClientTls(tls),
      credentials: credentials === undefined ? undefined : readFileSync(credentials),
    }),
} satisfies BrokerType<typeof NatsSchema>;

function checkCredentials(at: Path, file: string, findings: Findings): void {
  checkPath(at, file, "file", findings);
  const text = existsSync(file) ? readFileSync(file).toString() : undefined;
  if (text !== undefined && !/BEGIN NATS USER JWT[\s\S]*BEGIN USER NKEY SEED/.test(text))
    findings.error(at, "expected a file of NATS credentials, with the JWT and the seed of a user");
}

const RedisSchema = mapping(
  { type: choice(["redis"], { description: "Redis 6.2 or later." }), prefix, lease, ...redisServersKeys },
  "Rooms that several gateways share through Redis.",
);

const redis = {
  schema: RedisSchema,
  check: (at, config, findings) => {
    checkPrefix(at, config, findings);
    checkRedisServers(at, config, findings);
  },
  create: async ({ tls, lease: leaseMs, ...config }, context) =>
    (await import("./redis-broker.js")).createRedisBroker({
      ...config,
      ...context,
      leaseMs,
      tls: readClientTls(tls),
    }),
} satisfies BrokerType<typeof RedisSchema>;

/** Every kind of broker by its `type`; a new one is its own file and an entry here. */
const brokerTypes = { memory, nats, redis } as const;

/** `realtime.broker` */
export const brokerSchema = Type.Union([memory.schema, nats.schema, redis.schema], {
  description: "Connects the rooms of several gateways: one of the types memory, nats and redis.",
});
export type BrokerConfig = Loaded<typeof brokerSchema>;

export function checkBroker(at: Path, config: DraftOf<BrokerConfig> | undefined, findings: Findings): void {
  if (config?.type === undefined) return;
  (brokerTypes[config.type] as BrokerType).check?.(at, config, findings);
}

/** The broker of a configuration, not yet started. @throws Error where a file can be read no longer */
export async function loadBroker(config: BrokerConfig, context: BrokerContext): Promise<Broker> {
  return (brokerTypes[config.type] as BrokerType).create(config, context);
}

function checkPrefix(
  at: Path,
  { prefix }: { readonly prefix?: string | undefined },
  findings: Findings,
): void {
  if (prefix === undefined || /^[A-Za-z0-9_-]+$/.test(prefix)) return;
  const found = findings.show([...at, "prefix"], prefix);
  findings.error([...at, "prefix"], `expected letters, digits, _ and -, found ${found}`);
}
