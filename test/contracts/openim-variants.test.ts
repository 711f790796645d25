import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeJwt } from "jose";
import {
  assertError,
  envelope,
  headers,
  helen,
  john,
  logIn,
  now,
  post,
  startVariant,
  tokenWith,
} from "./openim-client.js";
import type { System } from "./system.js";

describe("OpenIM with tokens that its backend decides about", () => {
  let system: System;
  before(async () => {
    const forward = `default: [forward]
  providers:
    forward:
      type: rpc
      upstream: chat
      method: openim.admin.admin/ParseToken
      token_field: token
      subject_field: userID
      header: token
      metadata: [operationID]`;
    system = await startVariant(yaml => yaml.replace("default: [openim]\n  providers:", forward));
  });
  after(() => system.close());

  it("OpenIM with tokens that its backend decides about sends the backend the caller that ParseToken has named", async () => {
    const token = await logIn(system, "jdoe");
    const answer = await post(system, "/user/update", { nickname: "Johnny" }, token);
    assert.deepEqual(envelope(answer).data, { faceUrl: "", nickName: "Johnny" });
    const forbidden = await post(system, "/user/update", { userID: helen, nickname: "X" }, token);
    assertError(forbidden, 1002, "NoPermissionError", /./);
  });

  it("OpenIM with tokens that its backend decides about refuses a token that ParseToken refuses", async () => {
    const token = await tokenWith({ exp: now - 3600 });
    const { errCode } = envelope(await post(system, "/user/update", { nickname: "X" }, token));
    assert.ok(errCode >= 1501 && errCode <= 1507, String(errCode));
  });
});

describe("OpenIM with a rate limit", () => {
  let system: System;
  before(async () => {
    system = await startVariant(
      yaml =>
        `${yaml.replace("Login: { auth: none }", "Login: { auth: none, rate_limit: logins }")}
rate_limits: { logins: { requests: 2, per: 1h, key: ip } }
`,
    );
  });
  after(() => system.close());

  it("a rate limit of an OpenIM gateway gives HTTP 429 with Retry-After, in the envelope", async () => {
    const body = { account: "jdoe", password: "xxx" };
    for (let index = 0; index < 2; index++) envelope(await post(system, "/account/login", body));
    const refused = await post(system, "/account/login", body);
    assert.equal(refused.status, 429);
    assert.match(refused.headers["retry-after"] ?? "", /^\d+$/);
    assert.notEqual(JSON.parse(refused.body).errCode, 0);
  });
});

describe("OpenIM with meeting tokens that the gateway issues", () => {
  let system: System;
  before(async () => {
    const livekit = `
livekit:
  url: wss://livekit.example.com
  api_key: gateway-key
  api_secret: a-secret-of-more-than-thirty-two-bytes
  grants: { participant: { roomJoin: true } }
  routes:
    - { post: /user/rtc/get_token, room: body.room, identity: body.identity, grant: participant, auth: [openim], errors: openim }
`;
    system = await startVariant(yaml => yaml.replace(/.*post: \/user\/rtc\/get_token.*\n/, "") + livekit);
  });
  after(() => system.close());

  it("OpenIM with meeting tokens that the gateway issues responds as the backend would", async () => {
    const token = await logIn(system, "jdoe");
    const answer = await post(system, "/user/rtc/get_token", { room: "standup", identity: john }, token);
    const { data, errCode } = envelope(answer);
    assert.equal(errCode, 0);
    assert.equal(data?.serverUrl, "wss://livekit.example.com");
    const { iss, sub, video } = decodeJwt(String(data?.token));
    assert.deepEqual(
      { iss, sub, video },
      { iss: "gateway-key", sub: john, video: { roomJoin: true, room: "standup" } },
    );
  });

  it("OpenIM with meeting tokens that the gateway issues refuses in the envelope: no operationID, no room, somebody else, no token", async () => {
    const token = await logIn(system, "jdoe");
    const path = "/user/rtc/get_token";
    const body = { room: "standup", identity: john };
    assertError(
      await system.send("POST", path, { body, headers: { token } }),
      1001,
      "ArgsError",
      /operationID/,
    );
    assertError(await post(system, path, { ...body, room: "" }, token), 1001, "ArgsError", /room/);
    assertError(
      await post(system, path, { ...body, identity: helen }, token),
      1002,
      "NoPermissionError",
      /./,
    );
    assertError(await post(system, path, body), 1507, "TokenNotExistError", /./);
  });
});

describe("OpenIM in a browser", () => {
  let system: System;
  before(async () => {
    system = await startVariant(yaml => yaml);
  });
  after(() => system.close());

  it("a page of any origin may send operationID and token to an OpenIM gateway", async () => {
    const preflight = await system.send("OPTIONS", "/user/update", {
      headers: {
        origin: "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,operationid,token",
      },
    });
    assert.ok(preflight.status === 200 || preflight.status === 204);
    assert.equal(preflight.headers["access-control-allow-origin"], "*");
    assert.match(String(preflight.headers["access-control-allow-headers"]), /operationid.*token/);
    const refused = await system.send("POST", "/user/update", {
      headers: { ...headers(), origin: "https://app.example.com" },
      body: {},
    });
    assert.equal(refused.headers["access-control-allow-origin"], "*");
  });
});
