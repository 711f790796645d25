import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { send } from "./http-client.js";
import {
  assertError,
  envelope,
  example,
  headers,
  helen,
  john,
  logIn,
  now,
  post,
  startVariant,
  tokenWith,
} from "./openim-client.js";
import { type System, startSystem } from "./system.js";

describe("config/examples/openim.yaml", () => {
  let system: System;
  let token: string;
  before(async () => {
    system = await startSystem(example);
    token = await logIn(system, "jdoe");
  });
  after(() => system.close());

  async function counted(route: string, status: number): Promise<number> {
    const { body } = await send(system.adminPort, "GET", "/metrics");
    const lines = body.split("\n").filter(line => line.startsWith("protogate_http_requests_total{"));
    const wanted = lines.filter(
      line => line.includes(`route="${route}"`) && line.includes(`,code="${status}"`),
    );
    return wanted.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  it("a success with config/examples/openim.yaml is an envelope with data, and HTTP 200", async () => {
    const answer = await post(system, "/account/login", { account: "jdoe", password: "xxx", platform: 5 });
    const { data, ...rest } = envelope(answer);
    assert.deepEqual(rest, { errCode: 0, errMsg: "", errDlt: "" });
    assert.equal(data?.userID, john);
    const { UserID, UserType, PlatformID } = decodeJwt(String(data?.chatToken));
    assert.deepEqual({ UserID, UserType, PlatformID }, { UserID: john, UserType: 1, PlatformID: 0 });
  });

  it("config/examples/openim.yaml prints defaults and 64-bit numbers as Go does", async () => {
    const { data } = envelope(await post(system, "/user/find/full", { userIDs: [john] }, token));
    const user = data?.users?.[0];
    assert.deepEqual(
      { userID: user?.userID, birth: user?.birth, phoneNumber: user?.phoneNumber, level: user?.level },
      { userID: john, birth: 0, phoneNumber: "", level: 0 },
    );
  });

  it("config/examples/openim.yaml ignores fields that the backend does not know, as OpenIM does", async () => {
    const body = { userIDs: [john, helen], someFutureField: { a: 1 } };
    const { errCode, data } = envelope(await post(system, "/user/find/public", body, token));
    assert.deepEqual([errCode, data?.users?.length], [0, 2]);
  });

  it("POST /user/rtc/get_token is GetTokenForVideoMeeting, and gives a LiveKit token", async () => {
    const answer = await post(system, "/user/rtc/get_token", { room: "standup", identity: john }, token);
    const { errCode, data } = envelope(answer);
    assert.equal(errCode, 0);
    assert.match(String(data?.serverUrl), /^wss?:/);
    const jwt = String(data?.token);
    assert.equal(decodeProtectedHeader(jwt).alg, "HS256");
    const claims = decodeJwt(jwt);
    assert.deepEqual(
      { sub: claims.sub, iss: claims.iss, video: claims.video },
      { sub: john, iss: "devkey", video: { roomJoin: true, room: "standup" } },
    );
    assert.ok(Number(claims.exp) - Number(claims.nbf) <= 600);
  });

  it("config/examples/openim.yaml keeps the business code, message and detail of the backend, and counts the real outcome", async () => {
    const before = await counted("/account/login", 401);
    const wrong = await post(system, "/account/login", { account: "jdoe", password: "yyy" });
    assertError(wrong, 20001, "PasswordError", /^login->check password: the password is wrong$/);
    const unknown = await post(system, "/account/login", { account: "nobody", password: "xxx" });
    assertError(unknown, 20002, "AccountNotFound", /there is no such account/);
    assert.equal(await counted("/account/login", 401), before + 1);
    assert.equal(await counted("/account/login", 404), 1);
  });

  it("config/examples/openim.yaml refuses a POST without operationID: 1001", async () => {
    const body = { account: "jdoe", password: "xxx" };
    for (const sent of [{ body }, { body, headers: { operationID: "" } }]) {
      const answer = await system.send("POST", "/account/login", sent);
      assertError(answer, 1001, "ArgsError", /^header must have operationID$/);
    }
    assert.equal(await counted("/account/login", 400), 2);
  });

  it("config/examples/openim.yaml refuses tokens by what is wrong with them, and counts 401", async () => {
    const path = "/user/rtc/get_token";
    const body = { room: "standup", identity: john };
    const refused = [
      [await tokenWith({ exp: now - 3600 }), 1501, "TokenExpiredError"],
      [await tokenWith({}, "another-secret-that-the-gateway-does-not-know"), 1502, "TokenInvalidError"],
      ["no-token-at-all", 1503, "TokenMalformedError"],
      [await tokenWith({ nbf: now + 3600 }), 1504, "TokenNotValidYetError"],
      [undefined, 1507, "TokenNotExistError"],
    ] as const;
    for (const [bad, errCode, errMsg] of refused) {
      assertError(await post(system, path, body, bad), errCode, errMsg, /./);
    }
    assert.equal(await counted(path, 401), refused.length);
  });

  it("config/examples/openim.yaml refuses what the rules of the proto refuse: 1001 with the field named", async () => {
    for (const field of ["room", "identity"]) {
      const body = { room: "standup", identity: john, [field]: "" };
      const answer = await post(system, "/user/rtc/get_token", body, token);
      assertError(answer, 1001, "ArgsError", new RegExp(`\\b${field}\\b`));
    }
    const none = await post(system, "/user/find/public", { userIDs: [] }, token);
    assertError(none, 1001, "ArgsError", /userIDs/);
    assert.equal(await counted("/user/rtc/get_token", 400), 2);
  });

  it("config/examples/openim.yaml refuses a body that is no message: 1001", async () => {
    for (const body of ["{", '{"userIDs":7}', '{"userIDs":["1"],"userIDs":[]}']) {
      assertError(await post(system, "/user/find/public", body, token), 1001, "ArgsError", /./);
    }
  });

  it("config/examples/openim.yaml lets nobody join as somebody else: 1002, counted as 403", async () => {
    const body = { room: "standup", identity: helen };
    const answer = await post(system, "/user/rtc/get_token", body, token);
    assertError(answer, 1002, "NoPermissionError", /./);
    assert.equal(await counted("/user/rtc/get_token", 403), 1);
  });

  it("config/examples/openim.yaml sends the backend the caller and its type, whatever a client claims", async () => {
    const forged = { opUserID: "9001", opUserType: "2", customHeader: "opUserType", platform: "Admin" };
    const change = { userID: helen, nickname: "Hacked" };
    const asJohn = { body: change, headers: { ...headers(token), ...forged } };
    assertError(await system.send("POST", "/user/update", asJohn), 1002, "NoPermissionError", /^only/);
    const admin = await logIn(system, "admin");
    const changed = { userID: helen, nickname: "Helena" };
    assert.deepEqual(envelope(await post(system, "/user/update", changed, admin)).data, {
      faceUrl: "",
      nickName: "Helena",
    });
  });
});

describe("the backend of config/examples/openim.yaml with errors: status", () => {
  let system: System;
  before(async () => {
    system = await startVariant(yaml =>
      yaml.replace(
        "errors: openim",
        `errors: status
    metadata: { request: [operationID] }
    status_codes: { 1001: 400, 1002: 403, 20001: 401, 20002: 404 }`,
      ),
    );
  });
  after(() => system.close());

  it("config/examples/openim.yaml with errors: status gives responses without the envelope", async () => {
    const answer = await post(system, "/account/login", { account: "jdoe", password: "xxx" });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).userID, john);
  });

  it("the backend of config/examples/openim.yaml with errors: status gives business codes the statuses of status_codes, and keeps them with their details", async () => {
    const answer = await post(system, "/account/login", { account: "jdoe", password: "yyy" });
    assert.equal(answer.status, 401);
    assert.deepEqual(JSON.parse(answer.body), {
      code: 20001,
      reason: "CODE_20001",
      message: "PasswordError",
      details: [
        {
          "@type": "type.googleapis.com/openim.protobuf.ErrorInfo",
          cause: "the password is wrong",
          warp: ["login", "check password: "],
        },
      ],
    });
    const unknown = await post(system, "/account/login", { account: "nobody", password: "xxx" });
    assert.equal(unknown.status, 404);
  });

  it("the dialect status needs no operationID, and sends no OpenIM metadata", async () => {
    const answer = await system.send("POST", "/account/login", {
      body: { account: "jdoe", password: "xxx" },
    });
    assert.equal(answer.status, 400);
    assert.equal(JSON.parse(answer.body).code, 1001);
    const token = (await post(system, "/account/login", { account: "jdoe", password: "xxx" })).body;
    const found = await post(system, "/user/find/public", { userIDs: [john] }, JSON.parse(token).chatToken);
    assert.equal(found.status, 403, "the demo's backend wants opUserID");
  });

  it("config/examples/openim.yaml with errors: status refuses a bad token with 401 and a challenge", async () => {
    const answer = await post(system, "/user/find/public", { userIDs: [john] }, "no-token-at-all");
    assert.equal(answer.status, 401);
    assert.match(answer.headers["www-authenticate"] ?? "", /./);
  });
});
