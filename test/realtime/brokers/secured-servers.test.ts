import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { nkeys } from "@nats-io/transport-node";
import { pino } from "pino";
import type { Broker, BrokerOptions } from "../../../src/realtime/brokers/broker.js";
import { createNatsBroker } from "../../../src/realtime/brokers/nats-broker.js";
import type { NatsServers } from "../../../src/realtime/brokers/nats-link.js";
import { createRedisBroker } from "../../../src/realtime/brokers/redis-broker.js";
import type { RedisServers } from "../../../src/upstream/redis/servers.js";
import { Authority, withoutOpenssl } from "../../auth/certificates.js";
import { freePort } from "../../ports.js";
import { draft } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";
import { missing, startNats, startRedis, type TestServer } from "./servers.js";

const withoutRedis = missing("redis-server") || withoutOpenssl;
const withoutNats = missing("nats-server") || withoutOpenssl;
const authority = withoutOpenssl === false ? new Authority("brokers") : undefined;
const stranger = withoutOpenssl === false ? new Authority("strangers") : undefined;
const server = authority?.issue("server", "/CN=broker", "DNS.1=broker.test\nIP.1=127.0.0.1");
const client = authority?.issue("client", "/CN=gateway");
const ca = authority?.ca.cert;
const files = { ca: authority?.ca.certFile ?? "", cert: server?.certFile ?? "", key: server?.keyFile ?? "" };

type Options = Omit<BrokerOptions, "prefix" | "history" | "logger">;

/** A broker that is started, and what it has logged. */
async function open<T>(create: (options: Options & BrokerOptions & T) => Broker, servers: T) {
  const lines: string[] = [];
  const logger = pino({ level: "error" }, { write: line => void lines.push(line) });
  const history = { messages: 10, ttl: 60_000, maxBytes: 1 << 20 };
  const broker = create({ ...servers, prefix: "secured", history, logger, timeoutMs: 2000 });
  const recorder = createRecorder();
  await broker.start(recorder);
  return { broker, recorder, lines };
}

async function works<T>(create: (options: BrokerOptions & T) => Broker, servers: T): Promise<void> {
  const { broker, recorder, lines } = await open(create, servers);
  assert.deepEqual([broker.ready, lines], [true, []]);
  await broker.subscribe("general");
  await broker.publish("general", draft("hello"));
  await recorder.until(() => recorder.seqs("general").length === 1);
  await broker.close();
}

async function fails<T>(
  create: (options: BrokerOptions & T) => Broker,
  servers: T,
  problem: RegExp,
): Promise<void> {
  const { broker, lines } = await open(create, servers);
  assert.equal(broker.ready, false);
  assert.match(lines.join(""), problem);
  await broker.close();
}

describe("Redis with TLS and passwords", { skip: withoutRedis }, () => {
  const servers: TestServer[] = [];
  const secured = async (): Promise<number> => {
    const port = String(await freePort());
    const tls = ["--tls-port", port, "--tls-cert-file", files.cert, "--tls-key-file", files.key];
    const user = [
      "--user",
      "joe",
      "on",
      ">s3/cr@t",
      "~secured:*",
      "&secured:*",
      "+@all",
      "--user",
      "default",
      "off",
    ];
    servers.push(await startRedis(true, [...tls, "--tls-ca-cert-file", files.ca, ...user]));
    return Number(port);
  };
  after(async () => {
    for (const each of servers) await each.close();
  });

  test("a broker reaches Redis over TLS with a user, a password and a client certificate", async () => {
    const port = await secured();
    const url = `rediss://joe:s3%2Fcr%40t@127.0.0.1:${port}`;
    const own = { cert: client?.cert ?? Buffer.of(), key: client?.key ?? Buffer.of() };
    const trusted = { ca: ca ?? Buffer.of(), ...own };
    await works<RedisServers>(createRedisBroker, { url, tls: trusted });
    const named = { ...trusted, serverName: "broker.test" };
    await works<RedisServers>(createRedisBroker, { url: url.replace("rediss", "redis"), tls: named });

    const other = { ...trusted, serverName: "other.test" };
    await fails<RedisServers>(
      createRedisBroker,
      { url, tls: other },
      /does not match certificate's altnames/,
    );
    await fails<RedisServers>(createRedisBroker, { url }, /unable to verify|self-signed/);
    const wrong = { ...trusted, ca: stranger?.ca.cert ?? Buffer.of() };
    await fails<RedisServers>(createRedisBroker, { url, tls: wrong }, /unable to verify|self-signed/);
    await fails<RedisServers>(
      createRedisBroker,
      { url, tls: { ca: trusted.ca } },
      /certificate|closed|lost|ECONNRESET/,
    );
    const guess = url.replace("s3%2F", "guess");
    await fails<RedisServers>(createRedisBroker, { url: guess, tls: trusted }, /WRONGPASS/);
  });
});

describe("NATS with TLS and passwords", { skip: withoutNats }, () => {
  const servers: TestServer[] = [];
  const start = async (...options: string[]): Promise<string> => {
    const started = await startNats(true, options);
    servers.push(started);
    return `127.0.0.1:${started.port}`;
  };
  const tls = ["--tls", "--tlscert", files.cert, "--tlskey", files.key, "--tlscacert", files.ca];
  after(async () => {
    for (const each of servers) await each.close();
  });

  test("a broker reaches NATS with a user and a password, or with a token", async () => {
    const host = await start("--user", "joe", "--pass", "s3/cr@t");
    await works<NatsServers>(createNatsBroker, { url: `nats://joe:s3%2Fcr%40t@${host}, nats://${host}` });
    await fails<NatsServers>(
      createNatsBroker,
      { url: `nats://joe:guess@${host}` },
      /Authorization Violation/,
    );
    await fails<NatsServers>(createNatsBroker, { url: `nats://${host}` }, /Authorization Violation/);
    const other = await start("--auth", "t0ken");
    await works<NatsServers>(createNatsBroker, { url: `nats://t0ken@${other}` });
    await fails<NatsServers>(createNatsBroker, { url: `nats://guess@${other}` }, /Authorization Violation/);
  });

  test("a broker reaches NATS over TLS, verifies its name, and shows a client certificate", async () => {
    const host = await start(...tls, "--tlsverify");
    const trusted = {
      ca: ca ?? Buffer.of(),
      cert: client?.cert ?? Buffer.of(),
      key: client?.key ?? Buffer.of(),
    };
    await works<NatsServers>(createNatsBroker, { url: `tls://${host}`, tls: trusted });
    const named = { ...trusted, serverName: "broker.test" };
    await works<NatsServers>(createNatsBroker, { url: `nats://${host}`, tls: named });
    const other = { ...trusted, serverName: "other.test" };
    await fails<NatsServers>(createNatsBroker, { url: `tls://${host}`, tls: other }, /altnames/);
    await fails<NatsServers>(createNatsBroker, { url: `tls://${host}` }, /unable to verify|self-signed/);
  });

  test("a broker that is configured to use TLS does not connect to a NATS server without it", async () => {
    const host = await start();
    await fails<NatsServers>(createNatsBroker, { url: `tls://${host}` }, /does not support 'tls'/);
    await fails<NatsServers>(createNatsBroker, { url: `nats://${host}`, tls: {} }, /does not support 'tls'/);
  });

  test("a broker reaches NATS with the credentials of a user", async () => {
    const { file, credentials } = operatorOf(authority?.folder ?? "");
    const host = await start("-c", file);
    await works<NatsServers>(createNatsBroker, { url: `nats://${host}`, credentials });
    await fails<NatsServers>(createNatsBroker, { url: `nats://${host}` }, /Authorization Violation/);
  });
});

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** A JWT of NATS: `subject` with its claims, signed by `issuer`. */
function signed(issuer: KeyPair, subject: KeyPair, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = {
    jti: randomBytes(16).toString("hex"),
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: "test",
    nats: { version: 2, ...claims },
  };
  const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(body)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString("base64url")}`;
}

/** The configuration of a server with an operator and one account, and the credentials of a user there. */
function operatorOf(folder: string): { readonly file: string; readonly credentials: Buffer } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  // JetStream is not served without one.
  const system = nkeys.createAccount();
  const unlimited = (...names: string[]) => Object.fromEntries(names.map(name => [name, -1]));
  const traffic = unlimited("subs", "data", "payload", "imports", "exports", "conn", "leaf");
  const stored = unlimited("mem_storage", "disk_storage", "streams", "consumer");
  const jwtOf = (each: KeyPair, limits: object): string =>
    signed(operator, each, { type: "account", limits: { ...limits, wildcards: true } });
  const userJwt = signed(account, user, { type: "user", subs: -1, data: -1, payload: -1, pub: {}, sub: {} });
  const file = join(folder, "operator.conf");
  writeFileSync(
    file,
    `operator: ${signed(operator, operator, { type: "operator" })}
resolver: MEMORY
system_account: ${system.getPublicKey()}
resolver_preload: {
  ${account.getPublicKey()}: ${jwtOf(account, { ...traffic, ...stored })}
  ${system.getPublicKey()}: ${jwtOf(system, traffic)}
}
`,
  );
  const seed = Buffer.from(user.getSeed()).toString();
  const credentials = Buffer.from(`-----BEGIN NATS USER JWT-----
${userJwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`);
  return { file, credentials };
}
