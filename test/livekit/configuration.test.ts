import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { redact } from "../../src/config/redaction.js";
import { parseSource } from "../../src/livekit/value-source.js";
import { Workspace } from "../config/workspace.js";
import { apiKey, apiSecret, compileLiveKit, configuration, roomsProto } from "./system.js";

const workspace = new Workspace({ "protos/rooms.proto": roomsProto });

/** What loading says, without the place in the file. */
function problems(livekit: string, change: (yaml: string) => string = yaml => yaml): string[] {
  return workspace
    .problems(change(configuration(livekit)))
    .map(problem => problem.replace(/^[^ ]* error: /, ""));
}

const route = (more: string): string => `routes: [{ post: /t, grant: participant, ${more} }]`;

test("the LiveKit section of the reference file is loaded, with defaults", () => {
  const { livekit } = workspace.config(
    configuration(`routes: [{ post: /t, room: body.room, grant: participant }]\nwebhook: { path: /hook }`),
  );
  assert.equal(livekit?.ttl, 600_000);
  const [first] = livekit?.routes ?? [];
  assert.equal(first?.identity, "subject");
  assert.equal(first?.allow_other_identities, false);
  assert.deepEqual(first?.response, { url: "serverUrl", jwt: "token" });
});

const mistakes: readonly [what: string, livekit: string, said: string][] = [
  [
    "a permission that LiveKit does not have",
    "grants: { a: { canPublis: true } }",
    'unknown key "canPublis" (at livekit.grants.a.canPublis); did you mean "canPublish"?',
  ],
  [
    "a room in a grant",
    "grants: { a: { room: r1 } }",
    "a grant has no room; expected it in the route that names the grant (at livekit.grants.a.room)",
  ],
  [
    "a permission of the wrong type",
    "grants: { a: { roomAdmin: yes } }",
    'expected true or false, found "yes" (at livekit.grants.a.roomAdmin)',
  ],
  [
    "an unknown kind of track",
    "grants: { a: { canPublishSources: [camra] } }",
    'expected camera, microphone, screen_share or screen_share_audio, found "camra" (at livekit.grants.a.canPublishSources[0]); did you mean "camera"?',
  ],
  [
    "credentials of storage in a token",
    route("room: literal.r, room_config: { egress: { room: { file: { s3: { secret: hunter2 } } } } }"),
    "a token is readable by its client and must not carry credentials of storage; start egress from a server (at livekit.routes[0].room_config.egress)",
  ],
  [
    "a grant that does not exist",
    "routes: [{ post: /t, room: literal.r, grant: participants }]",
    'there is no grant "participants" (at livekit.routes[0].grant); did you mean "participant"?',
  ],
  [
    "a ttl of nothing",
    route("room: literal.r, ttl: 0s"),
    'expected a duration from 1s to 24h, found "0s" (at livekit.routes[0].ttl)',
  ],
  [
    "a ttl of more than a day",
    "ttl: 25h",
    'expected a duration from 1s to 24h, found "25h" (at livekit.ttl)',
  ],
  [
    "a source that is none",
    route("room: room"),
    'expected body.<field>, path.<variable>, query.<parameter>, claim.<name>, subject or literal.<text>, found "room" (at livekit.routes[0].room)',
  ],
  [
    "a source with a slip",
    route("room: boddy.room"),
    'expected body.<field>, path.<variable>, query.<parameter>, claim.<name>, subject or literal.<text>, found "boddy.room" (at livekit.routes[0].room); did you mean "body.room"?',
  ],
  [
    "one identity for everybody",
    route("room: literal.r, identity: literal.me"),
    "expected an identity of the caller's own; LiveKit disconnects a participant that has joined with the same identity before (at livekit.routes[0].identity)",
  ],
  [
    "a body of GET",
    "routes: [{ get: /t, room: body.room, grant: participant }]",
    "a GET request has no body; expected a value of path, query or claims (at livekit.routes[0].room)",
  ],
  [
    "a route without method",
    "routes: [{ room: literal.r, grant: participant }]",
    "expected exactly one of get, post or put, found none (at livekit.routes[0])",
  ],
  [
    "a subject where nobody is authenticated",
    route("room: literal.r, auth: none"),
    "this route does not authenticate callers, so there is no subject; expected auth (at livekit.routes[0].identity)",
  ],
  [
    "any identity for anybody",
    route("room: literal.r, identity: body.identity, auth: none"),
    "this route does not authenticate callers, so any caller could take any identity; expected auth, or allow_other_identities: true (at livekit.routes[0])",
  ],
  [
    "a provider that does not exist",
    route("room: literal.r, auth: [user]"),
    'there is no provider "user" (at livekit.routes[0].auth[0]); did you mean "users"?',
  ],
  [
    "an upstream that does not exist",
    route("room: literal.r, authorize: { upstream: room, method: a.B/C }"),
    'there is no upstream "room" (at livekit.routes[0].authorize.upstream); did you mean "rooms"?',
  ],
  [
    "a realtime room with an unknown part",
    'webhook: { path: /hook, publish: { room: "{room.name}" } }',
    "expected {room}, {identity} or {event}, found {room.name} (at livekit.webhook.publish.room)",
  ],
];

for (const [what, livekit, said] of mistakes) {
  test(`loading says what is wrong with ${what}`, () => {
    assert.equal(problems(livekit)[0], said);
  });
}

test("an address must be one of a LiveKit server and hold nothing secret", () => {
  for (const url of ["livekit.example.com", "ftp://x", "wss://key:hunter2@x", "wss://x/?token=hunter2"]) {
    const [said = ""] = problems("", yaml => yaml.replace("wss://livekit.example.com", url));
    assert.match(said, /^expected the address of a LiveKit server such as wss:\/\/livekit.example.com/);
    assert.ok(!said.includes("hunter2"));
  }
});

async function compiled(livekit: string, change: (yaml: string) => string = yaml => yaml): Promise<string[]> {
  const { diagnostics, close } = await compileLiveKit(workspace, change(configuration(livekit)));
  await close();
  return diagnostics.map(each => formatDiagnostic(each).replace(/^[^ ]* /, ""));
}

const authorize = (more: string): string =>
  route(`room: literal.r, authorize: { upstream: rooms, method: rooms.v1.Rooms/Enter, ${more} }`);

const misfits: readonly [what: string, livekit: string, said: string][] = [
  [
    "a variable that the template does not have",
    "routes: [{ get: '/rooms/{room}', room: path.rom, grant: participant }]",
    'error: the template /rooms/{room} has no variable "rom"; it has room (at livekit.routes[0].room); did you mean "room"?',
  ],
  [
    "a variable that nothing reads",
    "routes: [{ get: '/rooms/{room}', room: literal.r, grant: participant }]",
    "warning: nothing reads the variable {room} (at livekit.routes[0].get)",
  ],
  [
    "a service that the descriptors do not have",
    route("room: literal.r, authorize: { upstream: rooms, method: rooms.v1.Room/Enter }"),
    'error: the descriptors have no service "rooms.v1.Room" (at livekit.routes[0].authorize.method); did you mean "rooms.v1.Rooms/Enter"?',
  ],
  [
    "a method that the service does not have",
    "webhook: { path: /hook, call: { upstream: rooms, method: rooms.v1.Rooms/Hapened } }",
    'error: rooms.v1.Rooms has no method "Hapened" (at livekit.webhook.call.method); did you mean "rooms.v1.Rooms/Happened"?',
  ],
  [
    "a method that streams",
    "webhook: { path: /hook, call: { upstream: rooms, method: rooms.v1.Rooms/Watch } }",
    "error: rooms.v1.Rooms/Watch streams; expected a unary method (at livekit.webhook.call.method)",
  ],
  [
    "a field that the request does not have",
    authorize("room_field: rom"),
    'error: rooms.v1.EnterRequest has no field "rom" (at livekit.routes[0].authorize.room_field); did you mean "room"?',
  ],
  [
    "a field that is no text",
    authorize("identity_field: level"),
    'error: "level" of rooms.v1.EnterRequest is not a single string (at livekit.routes[0].authorize.identity_field)',
  ],
  [
    "a message in place of a field",
    authorize("identity_field: who"),
    'error: "who" of rooms.v1.EnterRequest is not a single string (at livekit.routes[0].authorize.identity_field)',
  ],
  [
    "rooms to publish to where there are none",
    "webhook: { path: /hook, publish: { room: all } }",
    "error: there are no realtime rooms to publish to (at livekit.webhook.publish)",
  ],
  [
    "a webhook with a variable",
    "webhook: { path: '/hook/{x}' }",
    "error: expected a path without variables and wildcards (at livekit.webhook.path)",
  ],
  [
    "a grant that does not let anybody in",
    "grants: { idle: { canPublish: true } }\nroutes: [{ post: /t, room: literal.r, grant: idle }]",
    'warning: the grant "idle" has no roomJoin; its tokens cannot join the room (at livekit.routes[0].grant)',
  ],
];

for (const [what, livekit, said] of misfits) {
  test(`compiling says what is wrong with ${what}`, async () => {
    assert.equal((await compiled(livekit))[0], said);
  });
}

test("a short secret is warned of", async () => {
  const short = (yaml: string): string => yaml.replace(apiSecret, "secret");
  assert.deepEqual(await compiled("routes: []", short), [
    "warning: the secret is shorter than 32 characters; it can be guessed from any token (at livekit.api_secret)",
  ]);
});

test("the configuration is shown without key and secret", () => {
  const { config, secrets } = workspace.load(configuration("routes: []"));
  assert.ok(config !== undefined);
  const shown = JSON.stringify(redact(config, secrets));
  assert.ok(!shown.includes(apiSecret) && !shown.includes(apiKey));
  assert.match(shown, /"url":"wss:\/\/livekit.example.com"/);
});

test("sources are read by their first word", () => {
  assert.deepEqual(parseSource("claim.https://x.example/org"), {
    kind: "claim",
    name: "https://x.example/org",
  });
  assert.deepEqual(parseSource("literal.a.b"), { kind: "literal", name: "a.b" });
  for (const text of ["", ".", "body", "body.", ".room", "subject.x", "header.x"]) {
    assert.equal(parseSource(text), undefined, text);
  }
});
