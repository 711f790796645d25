import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "../config/workspace.js";

const workspace = new Workspace();
const listeners = '{ http: { address: ":8080" }, realtime: { address: ":8081" } }';

function problems(realtime: string, where = listeners): readonly string[] {
  return workspace
    .problems(`listeners: ${where}\n${realtime}`)
    .map(problem => problem.replace(/^gateway\.yaml:\d+:\d+: /, ""));
}

test("an empty section is realtime with every default", () => {
  const { realtime } = workspace.config(`listeners: ${listeners}\nrealtime: {}`);
  assert.deepEqual(realtime, {
    protocol: "chat",
    rooms: true,
    sessions: [],
    origins: [],
    transports: ["websocket"],
    refusals: "status",
    sent_at: "seconds",
    deflate: false,
    limits: {
      message: 65_536,
      rooms_per_connection: 128,
      messages_per_second: 20,
      burst: 150,
      connections: 100_000,
      idle_timeout: 60_000,
    },
    backpressure: { max: 1_048_576, policy: "close" },
    history: { messages: 100, ttl: 3_600_000, max_bytes: 67_108_864 },
    broker: { type: "memory" },
    events: {},
    calls: [],
    bridge: { concurrency: 256, queue: 1024, streams: 1024, calls_per_connection: 16 },
    feeds: { streams: 1024 },
  });
});

test("a configuration without the section realtime serves no sockets", () => {
  assert.equal(workspace.config('listeners: { http: { address: ":8080" } }').realtime, undefined);
});

test("a broker has its own keys", () => {
  const { realtime } = workspace.config(
    `listeners: ${listeners}\nrealtime: { broker: { type: redis, url: "redis://127.0.0.1:6379/0" } }`,
  );
  assert.deepEqual(realtime?.broker, {
    type: "redis",
    url: "redis://127.0.0.1:6379/0",
    prefix: "protogate",
    lease: 15_000,
  });
  assert.match(
    problems("realtime: { broker: { type: kafka } }")[0] ?? "",
    /expected memory, nats or redis, found "kafka"/,
  );
  assert.match(
    problems('realtime: { broker: { type: redis, url: "nats://a:1" } }')[0] ?? "",
    /expected redis:\/\/host:port or rediss:\/\/host:port \(at realtime\.broker\.url\)/,
  );
});

for (const [broker, expected] of [
  ['{ type: redis, url: "redis://a:1,redis://b:2" }', /several servers need "sentinel" or "cluster: true"/],
  [
    '{ type: redis, url: "redis://a:1/2", cluster: true }',
    /a cluster has no databases; expected a URL without one/,
  ],
  [
    '{ type: redis, url: "redis://a:1", cluster: true, sentinel: { master: m } }',
    /"sentinel" is there, too; expected one of them \(at realtime\.broker\.cluster\)/,
  ],
  ['{ type: redis, url: "redis://a:1", sentinel: {} }', /missing key "master"/],
  ['{ type: redis, url: "redis://a:1", tls: { cert: ./none.pem } }', /"cert" without "key"/],
  [
    '{ type: nats, url: "nats://a:1", tls: { ca: ./none.pem } }',
    /expected a file, but "none\.pem" does not exist/,
  ],
  ['{ type: nats, url: "nats://a:1", credentials: ./none.creds }', /expected a file, but /],
  [
    '{ type: nats, url: "nats://joe@a:1", credentials: ./gateway.yaml }',
    /expected a file of NATS credentials/,
  ],
  [
    '{ type: nats, url: "nats://joe@a:1", credentials: ./gateway.yaml }',
    /the URL has a user, too; expected one/,
  ],
  ['{ type: nats, url: "nats://a:1", lease: 1s }', /expected .*2s.*, found "1s"/],
  ['{ type: redis, url: "redis://a:1", lease: 6m }', /expected .*5m.*, found "6m"/],
  ["{ type: memory, lease: 15s }", /unknown key "lease"/],
  ['{ type: nats, url: "nats://a:1, http://b:2" }', /expected nats:\/\/host:port or tls:\/\/host:port/],
] as const) {
  test(`the broker ${broker} is refused with ${expected.source}`, () => {
    const found = problems(`realtime: { broker: ${broker} }`);
    assert.ok(
      found.some(problem => expected.test(problem)),
      found.join("\n"),
    );
  });
}

test("servers of a broker may be sentinels, nodes of a cluster, or several of NATS", () => {
  for (const broker of [
    '{ type: redis, url: "redis://:p@a:1,rediss://b:2", sentinel: { master: m, password: q } }',
    '{ type: redis, url: "redis://a:1/0,redis://b:2", cluster: true, tls: true }',
    '{ type: nats, url: "nats://joe:p@a:1, tls://b:2", tls: { server_name: nats.internal } }',
  ])
    assert.deepEqual(problems(`realtime: { broker: ${broker} }`), []);
});

test("the section and its listener need one another", () => {
  assert.match(
    problems("realtime: {}", '{ http: { address: ":8080" } }')[0] ?? "",
    /WebSockets need a listener; expected listeners\.realtime, or path, .*\(at realtime\)/,
  );
  assert.match(problems("")[0] ?? "", /expected a section realtime .*\(at listeners\.realtime\)/);
});

test("sockets need no listener of their own where realtime.path is written", () => {
  for (const path of ["/ws", "/", '""'])
    assert.deepEqual(problems(`realtime: { path: ${path} }`, '{ http: { address: ":8080" } }'), []);
});

test("the root is written as / or as an empty text", () => {
  for (const root of ["/", '""']) {
    const { realtime } = workspace.config(
      `listeners: ${listeners}\nrealtime: { path: ${root}, rest: ${root} }`,
    );
    assert.deepEqual([realtime?.path, realtime?.rest], ["", ""]);
  }
  for (const wrong of ["ws", "/ws/", "//", "/{a}"])
    assert.match(problems(`realtime: { path: "${wrong}" }`)[0] ?? "", /"\/" or "" for the root/, wrong);
});

test("realtime.rooms: false with settings of rooms is an error", () => {
  const calls = "rooms: false, calls: [a.B/C]";
  assert.deepEqual(problems(`realtime: { ${calls} }`), []);
  assert.match(problems("realtime: { rooms: false }")[0] ?? "", /nothing to serve; expected calls/);
  assert.match(problems(`realtime: { ${calls}, rest: /chat }`)[0] ?? "", /no rooms.*\(at realtime\.rest\)/);
  assert.match(
    problems(`realtime: { ${calls}, api: { address: "127.0.0.1:1" } }`)[0] ?? "",
    /no rooms.*\(at realtime\.api\)/,
  );
  const event = "{ upstream: u, method: a.B/C }";
  for (const kind of ["join", "message", "leave"])
    assert.ok(
      problems(`realtime: { ${calls}, events: { ${kind}: ${event} } }`).some(problem =>
        problem.includes(`expected no ${kind}`),
      ),
    );
});

test("the listener has a port of its own", () => {
  const where = '{ http: { address: ":8080" }, realtime: { address: "127.0.0.1:8080" } }';
  assert.match(problems("realtime: {}", where)[0] ?? "", /listeners\.http has that port already/);
});

test("an invalid value is reported with its position and what was expected", () => {
  const cases: [string, RegExp][] = [
    ["{ auth: [users] }", /users/],
    [
      "{ origins: [https://app.example.com/] }",
      /expected an origin .* did you mean "?https:\/\/app\.example\.com/,
    ],
    ["{ limits: { idle_timeout: 2s } }", /idle_timeout/],
    ["{ limits: { idle_timeout: 17m } }", /expected a duration from 8s to 15m, found "17m"/],
    ["{ events: { join: { upstream: chat, method: chat.v1.Rooms/Join } } }", /there is no upstream "chat"/],
    ["{ events: { joined: {} } }", /unknown key "joined"/],
    ["{ calls: [chat.v1.Rooms] }", /expected package\.Service\/Method or package\.Service\/\*/],
    ["{ backpressure: { policy: wait } }", /expected .*close.* drop/],
  ];
  for (const [section, expected] of cases)
    assert.match(problems(`realtime: ${section}`)[0] ?? "", expected, section);
});

test("the bytes that may wait for a client must hold one message at least", () => {
  assert.match(
    problems("realtime: { backpressure: { max: 32KiB } }")[0] ?? "",
    /expected at least the 64KiB of realtime\.limits\.message, found 32KiB \(at realtime\.backpressure\.max\)/,
  );
  assert.match(problems("realtime: { limits: { message: 2MiB } }")[0] ?? "", /at least the 2MiB/);
  assert.deepEqual(problems("realtime: { limits: { message: 16KiB }, backpressure: { max: 16KiB } }"), []);
});

test("rooms that differ are checked: their patterns, their order, and what does not go together", () => {
  const inRooms = (entries: string) => problems(`realtime: { rooms: [${entries}] }`);
  assert.deepEqual(inRooms('{ match: "dm-{a}-{b}", max_members: 2 }, { match: "*" }'), []);
  const expected: readonly (readonly [entries: string, problem: RegExp])[] = [
    [
      '{ match: "*" }, { match: "dm-*" }',
      /no room gets here: every name that fits dm-\* fits \*, which stands before it/,
    ],
    ['{ match: "dm-{A}" }', /expected a name of a part in lower case, as in \{user\}, found \{A\}/],
    ['{ match: "dm-{from}" }', /the part \{from\} would be mistaken for the "from" of a frame/],
    ['{ match: "{a}-{a}" }', /the part \{a\} occurs twice/],
    ['{ match: "{a}*" }', /expected a text before \*/],
    ['{ match: "a{b" }', /expected "\{" and "\}" around the name of a part/],
    ['{ match: "a", presence: off, notices: each }', /expected off, or presence: users, found each/],
    ['{ match: "a", cache: true, history: { messages: 0 } }', /no message is kept/],
    ['{ match: "a", token: { provider: rooms } }', /there is no provider "rooms"/],
    ['{ match: "a", events: [join] }', /expected events of realtime.events, which has no join/],
    ['{ match: "a", max_member: 2 }', /unknown key "max_member"/],
    ["{ presence: off }", /missing key "match"/],
    ["", /at least 1/],
  ];
  for (const [entries, problem] of expected) {
    const found = inRooms(entries);
    assert.equal(found.length, 1, `${entries}: ${found.join("\n")}`);
    assert.match(found[0] ?? "", problem);
  }
});

test("classes of sessions are claims or the subject, of callers who are known", () => {
  const of = (rules: string, more = "") => problems(`realtime: { sessions: [${rules}]${more} }`);
  assert.deepEqual(of("{ key: claim.PlatformID }, { key: subject, max: 3, over: refuse }"), []);
  assert.match(of("{ key: platform }")[0] ?? "", /expected subject, or a claim such as claim.PlatformID/);
  assert.match(of("{ key: subject }", ", auth: none")[0] ?? "", /without authentication users are not known/);
});

test("the room of a user has the subject in its name, and is one of the rooms that there are", () => {
  const of = (more: string) => problems(`realtime: { ${more} }`);
  assert.deepEqual(of('user_room: "user-{subject}"'), []);
  assert.deepEqual(of('user_room: "user-{subject}", rooms: [{ match: "user-*" }]'), []);
  for (const [written, problem] of [
    ["user_room: inbox", /expected a name with \{subject\} in it/],
    ['user_room: "{user}"', /expected a name with \{subject\} in it/],
    ['user_room: "user-{subject}", rooms: [{ match: "dm-*" }]', /no entry of realtime.rooms fits it/],
    ['user_room: "user-{subject}", auth: none', /without authentication users are not known/],
  ] as const)
    assert.match(of(written)[0] ?? "", problem);
});
