import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Answer } from "./http-client.js";
import { type System, startSystem } from "./system.js";

const john = { login: "jdoe", firstname: "John", lastname: "DOE" };
const helen = { login: "hsue", firstname: "Helen", lastname: "SUE" };
const date = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface Person {
  readonly login: string;
  readonly firstname: string;
  readonly lastname: string;
}

interface User extends Person {
  readonly chatRooms: readonly string[];
}

interface Room {
  readonly roomName: string;
  readonly banner: string;
  readonly participants: readonly Person[];
  readonly creationDate: string;
}

interface Message {
  readonly messageId: string;
  readonly author: Person;
  readonly content: string;
  readonly systemMessage: boolean;
  readonly creationDate: string;
}

describe("config/examples/killrchat.yaml", () => {
  let system: System;
  before(async () => {
    system = await startSystem(resolve(import.meta.dirname, "../../config/examples/killrchat.yaml"));
  });
  after(() => system.close());

  function assertNoContent(answer: Answer): void {
    assert.equal(answer.status, 204, answer.body);
    assert.equal(answer.body, "");
    assert.equal(answer.headers["content-type"], undefined);
    assert.equal(answer.headers["content-length"], undefined);
  }

  async function read<Value>(path: string): Promise<Value> {
    const answer = await system.send("GET", path);
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.headers["content-type"] ?? "", /^application\/json/);
    return JSON.parse(answer.body) as Value;
  }

  function assertError(answer: Answer, status: number, code: number, reason: string): void {
    assert.equal(answer.status, status, answer.body);
    const error = JSON.parse(answer.body);
    assert.deepEqual({ code: error.code, reason: error.reason }, { code, reason });
    assert.equal(typeof error.message, "string");
    assert.ok(Array.isArray(error.details));
  }

  it("POST /users creates an account: 204", async () => {
    for (const person of [john, helen]) {
      const body = { ...person, password: "xxx", email: `${person.login}@example.com`, bio: "…" };
      assertNoContent(await system.send("POST", "/users", { body }));
    }
  });

  it("POST /users with a login that is taken is 409", async () => {
    const answer = await system.send("POST", "/users", { body: { ...john, password: "yyy" } });
    assertError(answer, 409, 6, "LOGIN_TAKEN");
    assert.deepEqual(JSON.parse(answer.body).details, [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "LOGIN_TAKEN",
        domain: "killrchat.demo",
        metadata: { login: "jdoe" },
      },
    ]);
  });

  it("POST /users without login and password is 400 and names both", async () => {
    const answer = await system.send("POST", "/users", { body: {} });
    assertError(answer, 400, 3, "INVALID_ARGUMENT");
    const [detail] = JSON.parse(answer.body).details;
    assert.deepEqual(
      detail.fieldViolations.map((violation: { field: string }) => violation.field),
      ["login", "password"],
    );
  });

  it("POST /authenticate logs in by query, without a body: 204 and the backend's cookie", async () => {
    const answer = await system.send("POST", "/authenticate?j_username=jdoe&j_password=xxx");
    assertNoContent(answer);
    const cookies = answer.headers["set-cookie"] ?? [];
    assert.equal(cookies.length, 1);
    assert.match(cookies[0] ?? "", /^killrchat_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
  });

  it("POST /authenticate with a wrong password or an unknown login is 401, without a cookie", async () => {
    for (const query of ["j_username=jdoe&j_password=no", "j_username=nobody&j_password=xxx"]) {
      const answer = await system.send("POST", `/authenticate?${query}`);
      assertError(answer, 401, 16, "BAD_CREDENTIALS");
      assert.equal(answer.headers["set-cookie"], undefined);
    }
  });

  it("GET /logout is 200 and clears the cookie", async () => {
    const login = await system.send("POST", "/authenticate?j_username=jdoe&j_password=xxx");
    const cookie = (login.headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "";
    const answer = await system.send("GET", "/logout", { headers: { cookie } });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, "{}");
    assert.match(answer.headers["set-cookie"]?.[0] ?? "", /^killrchat_session=; .*Max-Age=0$/);
  });

  it("GET /users/jdoe shows the user, chatRooms even when there are none", async () => {
    assert.deepEqual(await read<User>("/users/jdoe"), {
      ...john,
      email: "jdoe@example.com",
      bio: "…",
      chatRooms: [],
    });
  });

  it("GET /users of an unknown login is 404", async () => {
    assertError(await system.send("GET", "/users/nobody"), 404, 5, "USER_NOT_FOUND");
  });

  it("POST /rooms/Dallas creates a room: 204, and 409 the second time", async () => {
    const body = { creator: john, banner: "Howdy" };
    assertNoContent(await system.send("POST", "/rooms/Dallas", { body }));
    assertError(await system.send("POST", "/rooms/Dallas", { body }), 409, 6, "ROOM_EXISTS");
  });

  it("GET /rooms/Dallas shows the room", async () => {
    const { creationDate, ...room } = await read<Room>("/rooms/Dallas");
    assert.deepEqual(room, { roomName: "Dallas", creator: john, banner: "Howdy", participants: [john] });
    assert.match(creationDate, date);
  });

  it("GET /rooms of an unknown room is 404", async () => {
    assertError(await system.send("GET", "/rooms/Nowhere"), 404, 5, "ROOM_NOT_FOUND");
  });

  it("PUT /rooms/participant joins the room that the body names: 204", async () => {
    const body = { ...helen, roomName: "Dallas" };
    assertNoContent(await system.send("PUT", "/rooms/participant", { body }));
    assert.deepEqual((await read<Room>("/rooms/Dallas")).participants, [john, helen]);
    assert.deepEqual((await read<User>("/users/hsue")).chatRooms, ["Dallas"]);
  });

  it("PATCH /rooms/participant leaves it, and is not taken for a room of that name: 204", async () => {
    const body = { ...helen, roomName: "Dallas" };
    assertNoContent(await system.send("PATCH", "/rooms/participant", { body }));
    assert.deepEqual((await read<Room>("/rooms/Dallas")).participants, [john]);
    assert.deepEqual((await read<User>("/users/hsue")).chatRooms, []);
  });

  it("PUT /rooms/participant of an unknown room is 404", async () => {
    const body = { ...helen, roomName: "Nowhere" };
    assertError(await system.send("PUT", "/rooms/participant", { body }), 404, 5, "ROOM_NOT_FOUND");
  });

  it("GET /rooms?fetchSize=100 is a top-level array of rooms", async () => {
    await system.send("POST", "/rooms/Austin", { body: { creator: helen, banner: "" } });
    const rooms = await read<Room[]>("/rooms?fetchSize=100");
    assert.ok(Array.isArray(rooms));
    assert.deepEqual(
      rooms.map(({ roomName, banner }) => ({ roomName, banner })),
      [
        { roomName: "Dallas", banner: "Howdy" },
        { roomName: "Austin", banner: "" },
      ],
    );
    assert.equal((await read<Room[]>("/rooms?fetchSize=1")).length, 1);
  });

  it("GET /rooms with a fetchSize that is no number is 400 and names it", async () => {
    const answer = await system.send("GET", "/rooms?fetchSize=many");
    assertError(answer, 400, 3, "INVALID_VALUE");
    assert.match(JSON.parse(answer.body).message, /fetch_?size/i);
  });

  it("POST /messages posts a message: 204", async () => {
    for (const content of ["one", "two", "three"])
      assertNoContent(await system.send("POST", "/messages", { body: { author: john, content } }));
  });

  it("GET /messages?fetchSize=20 is a top-level array, systemMessage printed when false", async () => {
    const messages = await read<Message[]>("/messages?fetchSize=20");
    assert.deepEqual(
      messages.map(message => message.content),
      ["three", "two", "one"],
    );
    for (const { messageId, author, systemMessage, creationDate } of messages) {
      assert.match(messageId, uuid);
      assert.deepEqual(author, john);
      assert.equal(systemMessage, false);
      assert.match(creationDate, date);
    }
  });

  it("GET /messages?fromMessageId=<uuid> goes on from there", async () => {
    const [newest] = await read<Message[]>("/messages?fetchSize=1");
    assert.ok(newest);
    const older = await read<Message[]>(`/messages?fetchSize=20&fromMessageId=${newest.messageId}`);
    assert.deepEqual(
      older.map(message => message.content),
      ["two", "one"],
    );
  });

  it("an empty list is [], not {}", async () => {
    const messages = await read<Message[]>("/messages?roomName=Austin");
    assert.deepEqual(messages, []);
  });

  it("a message of the server in a room is a systemMessage", async () => {
    const [newest] = await read<Message[]>("/messages?roomName=Dallas&fetchSize=1");
    assert.ok(newest);
    assert.equal(newest.systemMessage, true);
    assert.deepEqual(newest.author, helen);
  });

  it("PATCH /rooms/Dallas deletes the room: 204, 404 from then on", async () => {
    const body = { participants: ["jdoe", "hsue"] };
    assertNoContent(await system.send("PATCH", "/rooms/Dallas", { body }));
    assertError(await system.send("GET", "/rooms/Dallas"), 404, 5, "ROOM_NOT_FOUND");
    assertError(await system.send("PATCH", "/rooms/Dallas", { body }), 404, 5, "ROOM_NOT_FOUND");
    assert.deepEqual((await read<User>("/users/jdoe")).chatRooms, []);
  });

  it("malformed JSON is 400", async () => {
    const answer = await system.send("POST", "/messages", { body: '{"author":' });
    assertError(answer, 400, 3, "MALFORMED_JSON");
  });

  it("a wrong type in the body is 400 and names the field", async () => {
    const answer = await system.send("POST", "/messages", { body: { author: { login: 7 }, content: "x" } });
    assertError(answer, 400, 3, "INVALID_VALUE");
    assert.match(JSON.parse(answer.body).message, /author\.login/);
  });

  it("an unknown query parameter is 400 with the nearest name", async () => {
    const answer = await system.send("GET", "/rooms?fetchsize=1");
    assertError(answer, 400, 3, "UNKNOWN_PARAMETER");
    assert.match(JSON.parse(answer.body).message, /fetch_?[sS]ize/);
  });

  it("a room in the path cannot be changed by the body", async () => {
    const body = { roomName: "Houston", creator: john, banner: "" };
    assertError(await system.send("POST", "/rooms/Waco", { body }), 400, 3, "FIELD_COLLISION");
    assert.equal((await system.send("GET", "/rooms/Houston")).status, 404);
    assert.equal((await system.send("GET", "/rooms/Waco")).status, 404);
  });

  it("a wrong method is 405 with the methods of the path", async () => {
    const answer = await system.send("DELETE", "/rooms/Austin");
    assertError(answer, 405, 12, "METHOD_NOT_ALLOWED");
    const allowed = (answer.headers.allow ?? "").split(/, */);
    for (const method of ["GET", "POST", "PATCH"]) assert.ok(allowed.includes(method), answer.headers.allow);
  });
});
