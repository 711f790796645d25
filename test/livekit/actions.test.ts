import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { Workspace } from "../config/workspace.js";
import { send } from "../gateway/harness.js";
import {
  compileLiveKit,
  configuration,
  type LiveKitSystem,
  roomsProto,
  sample,
  startLiveKit,
} from "./system.js";
import { startTwirp, type TwirpServer } from "./twirp.js";

const recording = `
  - post: /rooms/{room}/recordings
    call: StartRoomCompositeEgress
    room: path.room
    fields:
      layout: body.layout
      audio_only: body.audio_only
      "file_outputs[0].filepath": literal.recordings/{room_name}.mp4
      "file_outputs[0].s3.bucket": literal.videos`;

const actions = `
actions:${recording}
  - { delete: "/rooms/{room}/recordings/{id}", call: StopEgress, room: path.room, fields: { egress_id: path.id } }
  - { post: "/rooms/{room}/stream", call: CreateIngress, room: path.room, identity: body.as, fields: { input_type: literal.RTMP_INPUT } }
  - { post: "/rooms/{room}/calls", call: CreateSIPParticipant, room: path.room, allow_other_identities: { scopes: [phone] }, fields: { sip_trunk_id: literal.ST_1, sip_call_to: body.number }, response: [participant_identity] }
`;

describe("routes that start something in a LiveKit room", () => {
  let server: TwirpServer;
  let system: LiveKitSystem;

  before(async () => {
    server = await startTwirp(async ({ method, body, claims }) => {
      const { video, sip } = claims;
      const egress = video?.roomRecord === true;
      switch (method) {
        case "StartRoomCompositeEgress":
          if (!egress) return [401, { code: "unauthenticated" }];
          if (body.layout === "broken")
            return [503, { code: "unavailable", msg: "no response from servers" }];
          return [
            200,
            { egress_id: "EG_1", room_name: body.room_name, status: "EGRESS_STARTING", room_composite: body },
          ];
        case "ListEgress":
          return [200, { items: body.egress_id === "EG_1" ? [{ egress_id: "EG_1", room_name: "r1" }] : [] }];
        case "StopEgress":
          return [200, { egressId: "EG_1", roomName: "r1", status: "EGRESS_ENDING" }];
        case "CreateIngress":
          if (video?.ingressAdmin !== true) return [401, { code: "unauthenticated" }];
          return [200, { ...body, ingress_id: "IN_1", url: "rtmp://x", stream_key: "key" }];
        default:
          if (sip?.call !== true) return [401, { code: "unauthenticated" }];
          return [200, { participant_identity: "sip_1", participant_id: "PA_1" }];
      }
    });
    system = await startLiveKit(`api_url: http://127.0.0.1:${server.port}${actions}`);
  });
  after(async () => {
    await system.close();
    server.close();
  });

  function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    return send(`${system.url}${path}`, {
      method,
      headers: { "x-subject": "ann", "content-type": "application/json", ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  it("a recording starts with what the configuration and the caller say, and the response has nothing of the storage", async () => {
    const started = await ask("POST", "/rooms/r1/recordings", { layout: "grid", audio_only: "true" });
    assert.deepEqual(
      [started.status, started.json],
      [200, { egress_id: "EG_1", room_name: "r1", status: "EGRESS_STARTING" }],
    );
    assert.deepEqual(server.calls.at(-1), {
      method: "StartRoomCompositeEgress",
      body: {
        room_name: "r1",
        layout: "grid",
        audio_only: true,
        file_outputs: [{ filepath: "recordings/{room_name}.mp4", s3: { bucket: "videos" } }],
      },
    });
    const metrics = await system.metrics();
    assert.equal(
      sample(metrics, 'protogate_livekit_actions_total{call="StartRoomCompositeEgress",result="done"}'),
      1,
    );
  });

  it("a recording of another room cannot be stopped, as if it did not exist", async () => {
    const other = await ask("DELETE", "/rooms/r2/recordings/EG_1");
    assert.deepEqual([other.status, other.json.reason], [404, "NOT_FOUND"]);
    const unknown = await ask("DELETE", "/rooms/r1/recordings/EG_9");
    assert.equal(unknown.status, 404);
    assert.ok(!server.calls.some(({ method }) => method === "StopEgress"));
    const own = await ask("DELETE", "/rooms/r1/recordings/EG_1");
    assert.deepEqual(own.json, { egress_id: "EG_1", room_name: "r1", status: "EGRESS_ENDING" });
  });

  it("an ingress publishes as the caller alone, and its stream key goes to the caller", async () => {
    const other = await ask("POST", "/rooms/r1/stream", { as: "bob" });
    assert.deepEqual([other.status, other.json.reason], [403, "IDENTITY_MISMATCH"]);
    const own = await ask("POST", "/rooms/r1/stream", { as: "ann" });
    assert.deepEqual(own.json, {
      ingress_id: "IN_1",
      url: "rtmp://x",
      stream_key: "key",
      room_name: "r1",
      participant_identity: "ann",
    });
  });

  it("a phone call shows what the configuration lists", async () => {
    const started = await ask("POST", "/rooms/r1/calls", { number: "+49 30 1" });
    assert.deepEqual(started.json, { participant_identity: "sip_1" });
    assert.equal(server.calls.at(-1)?.body.sip_call_to, "+49 30 1");
  });

  it("a value in a LiveKit request must be of its field's type, and unknown fields are refused", async () => {
    const wrong = await ask("POST", "/rooms/r1/recordings", { audio_only: "yes" });
    assert.deepEqual([wrong.status, wrong.json.message], [400, "audio_only: expected true or false"]);
    const unknown = await ask("POST", "/rooms/r1/recordings", { filepath: "/etc/passwd" });
    assert.deepEqual([unknown.status, unknown.json.reason], [400, "UNKNOWN_FIELD"]);
    const anonymous = await ask("POST", "/rooms/r1/recordings", {}, { "x-subject": "" });
    assert.equal(anonymous.status, 400);
  });

  it("a refusal of LiveKit keeps its meaning", async () => {
    const failed = await ask("POST", "/rooms/r1/recordings", { layout: "broken" });
    assert.deepEqual([failed.status, failed.json.message], [503, "no response from servers"]);
  });
});

const workspace = new Workspace({ "protos/rooms.proto": roomsProto });

async function problems(yaml: string): Promise<string[]> {
  const loaded = workspace.problems(configuration(yaml));
  const short = (text: string): string => text.replace(/^[^ ]* /, "");
  if (loaded.length > 0) return loaded.map(short);
  const { diagnostics, close } = await compileLiveKit(workspace, configuration(yaml));
  await close();
  return diagnostics.map(each => short(formatDiagnostic(each)));
}

const action = (more: string): string =>
  `actions: [{ post: "/r/{room}", room: path.room, call: StartRoomCompositeEgress, ${more} }]`;

const mistakes: readonly [what: string, yaml: string, said: RegExp][] = [
  [
    "an unknown call",
    action("").replace("StartRoom", "BeginRoom"),
    /did you mean "StartRoomCompositeEgress"/,
  ],
  [
    "an unknown field",
    action("fields: { layuot: literal.grid }"),
    /has no field "layuot".*did you mean "layout"/,
  ],
  [
    "an unknown field within another",
    action('fields: { "file_outputs[0].filepth": literal.x }'),
    /did you mean "file_outputs\[0\]\.filepath"/,
  ],
  [
    "a list without index",
    action("fields: { file_outputs.filepath: literal.x }"),
    /is a list; expected file_outputs\[0\]/,
  ],
  [
    "a list with a gap",
    action('fields: { "file_outputs[1].filepath": literal.x }'),
    /from \[0\] on, without gaps/,
  ],
  [
    "a message as a value",
    action('fields: { "file_outputs[0].s3": literal.x }'),
    /is a message; expected one of its fields/,
  ],
  ["a value of another type", action("fields: { audio_only: literal.maybe }"), /expected true or false/],
  [
    "the room as a field",
    action("fields: { room_name: body.room }"),
    /"room_name" is set from room of the route/,
  ],
  [
    "a credential in the file",
    action('fields: { "file_outputs[0].s3.secret": literal.hunter2 }'),
    /expected literal\.\$\{NAME\} .* neither from callers nor from this file/,
  ],
  [
    "a credential from callers",
    action('fields: { "file_outputs[0].s3.secret": body.secret }'),
    /neither from callers nor from this file/,
  ],
  [
    "a call without the id of what it ends",
    action("").replace("StartRoomCompositeEgress", "StopEgress"),
    /StopEgress needs egress_id/,
  ],
  [
    "an unknown field of the response",
    action("response: [egres_id]"),
    /has no field "egres_id".*"egress_id"/,
  ],
  ["an unknown project", action("project: eu"), /there is no project "eu"/],
  [
    "a body of DELETE",
    'actions: [{ delete: "/r/{room}", room: body.room, call: StopEgress, fields: { egress_id: path.room } }]',
    /a DELETE request has no body/,
  ],
];

for (const [what, yaml, said] of mistakes) {
  it(`checking a route that starts something finds ${what}`, async () => {
    const [first = "no problem"] = await problems(yaml);
    assert.match(first, said);
    assert.ok(!first.includes("hunter2"));
  });
}
