import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  loadPackageDefinition,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { checkProviders } from "../../src/auth/authenticators.js";
import { passedHeaders } from "../../src/bindings/service-check.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import type { Channel } from "../../src/upstream/channel.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import { Workspace } from "../config/workspace.js";
import { bearer, type TestOptions, type TestProviders, testProviders } from "./harness.js";

const proto = `syntax = "proto3";
package test.auth;
import "google/protobuf/struct.proto";
service Tokens {
  rpc Parse(ParseRequest) returns (ParseReply);
  rpc Watch(ParseRequest) returns (stream ParseReply);
  rpc Bare(ParseRequest) returns (BareReply);
}
message ParseRequest { string other = 1; string token = 20; repeated string tokens = 3; int32 number = 4; bytes raw = 5; }
message ParseReply {
  string user_id = 1;
  int64 account_id = 2;
  repeated string scopes = 3;
  google.protobuf.Struct extra = 4;
  map<string, string> labels = 5;
  string name = 6;
  repeated ParseReply list = 7;
  bool admin = 8;
}
message BareReply { bool good = 1; }
`;

const workspace = new Workspace({ "protos/tokens.proto": proto });

interface ParseRequest {
  token: string;
}
type Reply = Record<string, unknown>;

let model: Model;
let channel: Channel;
let shutDown: () => void;
let calls: { request: ParseRequest; metadata: Metadata }[] = [];
let answer: (request: ParseRequest, reply: sendUnaryData<Reply>) => void;

before(async () => {
  ({ model } = await loadModel([{ kind: "protos", folder: workspace.path("protos"), include: [] }]));
  const definition = loadSync(workspace.path("protos/tokens.proto"), { keepCase: true });
  const root = loadPackageDefinition(definition) as unknown as {
    test: { auth: { Tokens: ServiceClientConstructor } };
  };
  const server = new Server();
  const handler = (call: ServerUnaryCall<ParseRequest, Reply>, reply: sendUnaryData<Reply>): void => {
    calls.push({ request: call.request, metadata: call.metadata });
    answer(call.request, reply);
  };
  server.addService(root.test.auth.Tokens.service, { Parse: handler, Bare: handler, Watch: () => undefined });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  channel = channelTo(port);
  shutDown = () => server.forceShutdown();
});

after(async () => {
  await channel.close();
  shutDown();
});

function channelTo(port: number): Channel {
  return createChannel({
    name: "chat",
    targets: [`127.0.0.1:${port}`],
    balancing: "round_robin",
    transport: "lean",
    maxMessageSize: 1 << 20,
  });
}

const config = (keys: string) =>
  workspace.config(`
listeners: { http: { address: ":0" } }
upstreams: { chat: { targets: ["localhost:1"] } }
auth: { providers: { forward: { type: rpc, upstream: chat, method: test.auth.Tokens/Parse, token_field: token${keys} } } }
`);

function provider(keys = "", options: TestOptions = {}): TestProviders {
  calls = [];
  answer = ({ token }, reply) =>
    reply(null, {
      user_id: token,
      scopes: ["a", "b"],
      account_id: "9007199254740993",
      labels: { team: "x" },
    });
  return testProviders(config(keys), { model, channel, ...options });
}

const fails = (code: number) => {
  answer = (_, reply) => reply({ code, details: "the backend's own words" });
};

async function refusal(tested: TestProviders, token: string): Promise<string> {
  const { httpStatus, reason, message } = await tested.refused(bearer(token));
  assert.doesNotMatch(message, /own words/);
  return `${httpStatus} ${reason}`;
}

test("the configured method is called, and its response names the caller", async () => {
  const tested = provider(", claims_to_metadata: { accountId: x-account, labels.team: x-team }");
  const { subject, scopes, claims, metadata, provider: name } = await tested.ask(bearer("ada"));
  assert.equal(calls[0]?.request.token, "ada");
  assert.equal(subject, "ada");
  assert.equal(name, "forward");
  assert.deepEqual([...scopes], ["a", "b"]);
  assert.equal(claims.accountId, "9007199254740993");
  assert.deepEqual(metadata, [
    ["x-account", "9007199254740993"],
    ["x-team", "x"],
  ]);
});

test("subject, scopes and claims come from the fields that are named", async () => {
  const tested = provider(
    ", subject_field: account_id, scopes_field: name, claims_field: extra, header: token",
  );
  answer = (_, reply) =>
    reply(null, {
      user_id: "x",
      account_id: 42,
      name: "r w",
      extra: { fields: { level: { numberValue: 3 }, __proto__: { stringValue: "y" } } },
    });
  const { subject, scopes, claims } = await tested.ask({ headers: { token: "t" } });
  assert.equal(subject, "42");
  assert.deepEqual([...scopes], ["r", "w"]);
  assert.equal(claims.level, 3);
  assert.equal(claims.userId, undefined);
  assert.equal(Object.getPrototypeOf(claims), null);
});

test("the response of an rpc provider is cached for its time, by token", async () => {
  let time = Date.now();
  const tested = provider(", cache: 10s", { now: () => time });
  await tested.ask(bearer("ada"));
  time += 9999;
  assert.ok(!(tested.askNow(bearer("ada")) instanceof Promise));
  await tested.ask(bearer("bob"));
  assert.equal(calls.length, 2);
  time += 1;
  await tested.ask(bearer("ada"));
  assert.equal(calls.length, 3);
});

test("an rpc provider with cache: 0s calls its backend for each request", async () => {
  const tested = provider(", cache: 0s");
  await tested.ask(bearer("ada"));
  await tested.ask(bearer("ada"));
  fails(status.UNAUTHENTICATED);
  await tested.refused(bearer("eve"));
  await tested.refused(bearer("eve"));
  assert.equal(calls.length, 4);
});

test("a hundred requests at once with one token are one call", async () => {
  const tested = provider();
  const identities = await Promise.all(Array.from({ length: 100 }, () => tested.ask(bearer("ada"))));
  assert.equal(calls.length, 1);
  assert.ok(identities.every(identity => identity === identities[0]));
});

test("no more tokens are remembered than cache_size", async () => {
  const tested = provider(", cache_size: 10");
  for (let index = 0; index < 30; index++) await tested.ask(bearer(`u${index}`));
  await tested.ask(bearer("u0"));
  assert.equal(calls.length, 31);
});

test("refusals of the backend are 401 and remembered shortly, apart from what was accepted", async () => {
  let time = Date.now();
  const tested = provider(", cache_size: 10", { now: () => time });
  await tested.ask(bearer("ada"));
  for (const code of [3, 5, 7, 16, 1502, 1002]) {
    fails(code);
    assert.equal(await refusal(tested, `eve${code}`), "401 CREDENTIALS_INVALID", String(code));
  }
  assert.equal(calls.length, 7);
  assert.equal(await refusal(tested, "eve16"), "401 CREDENTIALS_INVALID");
  assert.equal(calls.length, 7);
  for (const [code, reason] of [
    [1501, "TOKEN_EXPIRED"],
    [1503, "TOKEN_MALFORMED"],
    [1504, "TOKEN_NOT_YET_VALID"],
    [1506, "TOKEN_REVOKED"],
  ] as const) {
    fails(code);
    assert.equal(await refusal(tested, `eve${code}`), `401 ${reason}`);
  }
  for (let index = 0; index < 50; index++) await refusal(tested, `junk${index}`);
  assert.ok(!(tested.askNow(bearer("ada")) instanceof Promise));
  time += 5000;
  answer = (_, reply) => reply(null, { user_id: "eve" });
  assert.equal((await tested.ask(bearer("eve16"))).subject, "eve");
});

test("a failing backend of an rpc provider is 503, and the next request calls it again", async () => {
  const tested = provider();
  for (const code of [1, 2, 4, 8, 9, 12, 13, 14, 15]) {
    fails(code);
    assert.equal(await refusal(tested, "ada"), "503 AUTH_UNAVAILABLE", String(code));
  }
  assert.equal(calls.length, 9);
  answer = (_, reply) => reply(null, { user_id: "ada" });
  assert.equal((await tested.ask(bearer("ada"))).subject, "ada");
});

test("a backend of an rpc provider that is unreachable, or does not respond in time, is 503", async () => {
  const nowhere = channelTo(1);
  assert.equal(await refusal(provider("", { channel: nowhere }), "ada"), "503 AUTH_UNAVAILABLE");
  await nowhere.close();
  const silent = provider(", timeout: 50ms");
  answer = () => undefined;
  assert.equal(await refusal(silent, "ada"), "503 AUTH_UNAVAILABLE");
  assert.match(silent.events.at(-1)?.message ?? "", /deadline/);
});

test("a response of the method without a subject is 401", async () => {
  const tested = provider(", subject_field: account_id");
  answer = (_, reply) => reply(null, { user_id: "ada" });
  assert.equal(await refusal(tested, "ada"), "401 CREDENTIALS_INVALID");
});

test("headers that are named go along, where they can", async () => {
  const tested = provider(", metadata: [OperationID, x-odd, x-none]");
  await tested.ask({
    headers: { authorization: "Bearer ada", operationid: "op1", "x-odd": "ö", cookie: "a=b" },
  });
  const sent = calls[0]?.metadata.getMap() ?? {};
  assert.equal(sent.operationid, "op1");
  for (const name of ["x-odd", "x-none", "cookie", "authorization"]) assert.equal(sent[name], undefined);
});

test("a token of other characters, or too long a one, is refused without a call", async () => {
  const tested = provider();
  for (const token of ["a b", "a,b", "ö", "x".repeat(9000)]) {
    assert.equal(await refusal(tested, token), "401 CREDENTIALS_INVALID");
  }
  assert.equal(calls.length, 0);
});

test("an rpc provider that does not fit the descriptors is an error at load", () => {
  const problems = (keys: string): string[] => {
    const yaml = `
listeners: { http: { address: ":0" } }
upstreams: { chat: { targets: ["localhost:1"] } }
auth: { providers: { forward: { type: rpc, upstream: chat, ${keys} } } }
`;
    const { config, locate } = workspace.load(yaml);
    assert.ok(config !== undefined);
    return checkProviders(config, { model, passedHeaders: passedHeaders(config) }, locate).map(each =>
      formatDiagnostic(each).replace(/^.*gateway.yaml:4:\d+: error: /, ""),
    );
  };
  const parse = "method: test.auth.Tokens/Parse, token_field:";
  const at = "(at auth.providers.forward.";
  assert.deepEqual(problems(`${parse} token`), []);
  assert.deepEqual(problems(`${parse} raw`), []);
  assert.deepEqual(problems("method: test.auth.Token/Parse, token_field: token"), [
    `the descriptors have no service "test.auth.Token" ${at}method); did you mean "test.auth.Tokens/Parse"?`,
  ]);
  assert.deepEqual(problems("method: test.auth.Tokens/Prase, token_field: token"), [
    `test.auth.Tokens has no method "Prase" ${at}method); did you mean "test.auth.Tokens/Parse"?`,
  ]);
  assert.deepEqual(problems("method: test.auth.Tokens/Watch, token_field: token"), [
    `test.auth.Tokens/Watch streams; expected a unary method ${at}method)`,
  ]);
  assert.deepEqual(problems("method: test.auth.Tokens/Bare, token_field: token"), [
    `test.auth.BareReply has no field sub, subject or user_id; name one in subject_field ${at}method)`,
  ]);
  assert.deepEqual(problems(`${parse} tokn`), [
    `test.auth.ParseRequest has no field "tokn" ${at}token_field); did you mean "token"?`,
  ]);
  assert.deepEqual(problems(`${parse} tokens`), [
    `"tokens" is a list of string; expected a string or bytes ${at}token_field)`,
  ]);
  assert.deepEqual(problems(`${parse} number`), [
    `"number" is of type int32; expected a string or bytes ${at}token_field)`,
  ]);
  assert.deepEqual(problems(`${parse} token, subject_field: admin`), [
    `"admin" is of type bool; expected a string or an integer ${at}subject_field)`,
  ]);
  assert.deepEqual(problems(`${parse} token, scopes_field: admin`), [
    `"admin" is of type bool; expected a string or a list of strings ${at}scopes_field)`,
  ]);
  assert.deepEqual(problems(`${parse} token, claims_field: list`), [
    `"list" is a list of test.auth.ParseReply; expected a message or a map ${at}claims_field)`,
  ]);
});
