import { existsSync } from "node:fs";
import type { TObject } from "typebox";
import { checkPath } from "../../config/check.js";
import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import { choice, type DraftOf, type Loaded, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { readFileSync } from "../../net/files.js";
import { checkClientTls, clientTls, readClientTls } from "../../upstream/client-tls.js";
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
const tls = Type.Optional(
  clientTls(
    "Connect over TLS, with these files; the scheme of `url` alone trusts the authorities of the system.",
  ),
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
    tls,
    credentials: Type.Optional(
      text("keyPath", { description: "File with the JWT and the seed of a user (`.creds`)." }),
    ),
  },
  "Rooms that several gateways share through NATS.",
);

const nats = {
  schema: NatsSchema,
  check: (at, config, findings) => {
    const urls = checkServers(at, config, ["nats:", "tls:"], findings);
    if (config.credentials === undefined) return;
    checkCredentials([...at, "credentials"], config.credentials, findings);
    if (urls.some(({ username }) => username !== ""))
      findings.error([...at, "credentials"], "the URL has a user, too; expected one of them");
  },
  create: async ({ tls, credentials, ...config }, context) =>
    (await import("./nats-broker.js")).createNatsBroker({
      ...config,
      ...context,
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
  {
    type: choice(["redis"], { description: "Redis 6.2 or later." }),
    url: text("nonempty", {
      description:
        "redis://user:password@host:port/db, or rediss:// for TLS; of sentinels or nodes of a cluster several with commas between.",
    }),
    prefix,
    tls,
    sentinel: Type.Optional(
      mapping(
        {
          master: text("nonempty", { description: "By which name the sentinels know the master." }),
          username: Type.Optional(text("nonempty", { description: "The user of the sentinels." })),
          password: Type.Optional(text("secret", { description: "The password of the sentinels." })),
        },
        "`url` names sentinels, which know the server; user, password and database in it are those of that server.",
      ),
    ),
    cluster: Type.Optional(
      Type.Literal(true, {
        description:
          "`url` names nodes of a Redis Cluster. Rooms are on the master of the slot of `{prefix}`.",
      }),
    ),
  },
  "Rooms that several gateways share through Redis.",
);

const redis = {
  schema: RedisSchema,
  check: (at, config, findings) => {
    const urls = checkServers(at, config, ["redis:", "rediss:"], findings);
    if (config.cluster !== undefined && "sentinel" in config)
      findings.error([...at, "cluster"], '"sentinel" is there, too; expected one of them');
    if (config.cluster !== undefined && urls.some(({ pathname }) => !/^\/?0?$/.test(pathname)))
      findings.error([...at, "url"], "a cluster has no databases; expected a URL without one");
    if (urls.length > 1 && config.cluster === undefined && !("sentinel" in config))
      findings.error([...at, "url"], 'several servers need "sentinel" or "cluster: true"');
  },
  create: async ({ tls, ...config }, context) =>
    (await import("./redis-broker.js")).createRedisBroker({ ...config, ...context, tls: readClientTls(tls) }),
} satisfies BrokerType<typeof RedisSchema>;

/** Every kind of broker by its `type`; a new one is its own file and an entry here. */
const brokerTypes = { memory, nats, redis } as const;

/** `realtime.broker` */
export const brokerSchema = Type.Union([memory.schema, nats.schema, redis.schema], {
  description: "What connects the rooms of several gateways: one of the types memory, nats and redis.",
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

type ServersDraft = DraftOf<Pick<Loaded<typeof NatsSchema>, "url" | "prefix" | "tls">>;

/** Checks the options common to brokers with a server. @returns their URLs, those that are valid */
function checkServers(
  at: Path,
  { url, prefix, tls }: ServersDraft,
  schemes: readonly string[],
  findings: Findings,
): URL[] {
  if (prefix !== undefined && !/^[A-Za-z0-9_-]+$/.test(prefix)) {
    const found = findings.show([...at, "prefix"], prefix);
    findings.error([...at, "prefix"], `expected letters, digits, _ and -, found ${found}`);
  }
  checkClientTls([...at, "tls"], tls, findings);
  const urls: URL[] = [];
  for (const each of url?.split(",") ?? []) {
    const found = URL.canParse(each.trim()) ? new URL(each.trim()) : undefined;
    if (found !== undefined && schemes.includes(found.protocol) && found.hostname !== "") {
      urls.push(found);
      continue;
    }
    // An address with a password in it would be repeated here.
    const forms = schemes.map(scheme => `${scheme}//host:port`).join(" or ");
    findings.error([...at, "url"], `expected ${forms}`);
  }
  return urls;
}
