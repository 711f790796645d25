import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type Backend, echo, startBackend, startTestGateway, type TestGateway } from "../gateway/harness.js";

const proto = `
syntax = "proto3";
package up.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";

service Uploads {
  rpc Put(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/docs" body: "*" }; }
  rpc Own(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/docs/{id}/{file.content_type}" body: "*" }; }
  rpc Named(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/named/{id}" body: "*" }; }
  rpc Sub(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/sub" body: "inner" }; }
  rpc Tags(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/tags" body: "tags" }; }
  rpc None(Doc) returns (Doc) { option (google.api.http) = { post: "/v1/none" }; }
  rpc Raw(google.api.HttpBody) returns (google.api.HttpBody) {
    option (google.api.http) = { post: "/v1/raw" body: "*" };
  }
}
message Doc {
  string id = 1;
  int64 big = 2;
  repeated string tags = 3;
  Inner inner = 4;
  map<string, int32> counts = 5;
  google.protobuf.Timestamp at = 6;
  google.api.HttpBody file = 7;
  bytes data = 8;
  repeated bytes pages = 9;
  oneof source { string url = 10; bytes blob = 11; }
  bool flag = 12;
  Kind kind = 13;
}
message Inner { string text = 1; bytes data = 2; Inner deep = 3; repeated int32 numbers = 4; }
enum Kind { KIND_UNSPECIFIED = 0; SMALL = 1; }
`;

const names = ["Put", "Own", "Named", "Sub", "Tags", "None", "Raw"];

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of a response is what tests look at
  readonly json: any;
}

describe("http.uploads", () => {
  let backend: Backend;
  let gateway: TestGateway;
  let off: TestGateway;

  before(async () => {
    backend = await startBackend(Object.fromEntries(names.map(name => [`/up.v1.Uploads/${name}`, echo])));
    const yaml = (http: string) => `
descriptors: [{ protos: ./protos }]
upstreams: { up: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: up.v1.Uploads, upstream: up }]
http: ${http}
`;
    const files = { "protos/up.proto": proto };
    const limits = "limits: { body: 16KiB, request_timeout: 1s }";
    gateway = await startTestGateway(
      yaml(
        `{ ${limits}, compression: {}, cors: { origins: ["https://app.example.com"] }, uploads: { parts: 10, file: 64KiB, body: 256KiB } }`,
      ),
      files,
    );
    off = await startTestGateway(yaml(`{ ${limits} }`), files);
  });
  after(async () => {
    await gateway.close();
    await off.close();
    await backend.close();
  });

  async function post(
    path: string,
    body: FormData | string | Uint8Array,
    headers: Record<string, string> = {},
    at = gateway,
  ): Promise<Answer> {
    const response = await fetch(`${at.url}${path}`, { method: "POST", body, headers });
    const text = await response.text();
    return {
      status: response.status,
      json: /json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : text,
    };
  }

  const urlencoded = { "content-type": "application/x-www-form-urlencoded" };

  function form(
    entries: readonly (readonly [name: string, value: string | Blob, file?: string])[],
  ): FormData {
    const data = new FormData();
    for (const [name, value, file] of entries) {
      if (typeof value === "string") data.append(name, value);
      else if (file === undefined) data.append(name, value);
      else data.append(name, value, file);
    }
    return data;
  }

  const blob = (content: string | Uint8Array, type = "") => new Blob([content as string], { type });

  test("a urlencoded form binds as a query does", async () => {
    const text =
      "id=a+b%C3%A9&big=9007199254740993&tags=x&tags=y&inner.text=t&inner.deep.text=u&counts[k]=5&flag=true&kind=SMALL&at.seconds=5";
    assert.deepEqual(await post("/v1/docs", text, urlencoded), {
      status: 200,
      json: {
        id: "a bé",
        big: "9007199254740993",
        tags: ["x", "y"],
        inner: { text: "t", deep: { text: "u" } },
        counts: { k: 5 },
        at: "1970-01-01T00:00:05Z",
        flag: true,
        kind: "SMALL",
      },
    });
  });

  test("a urlencoded form for a body field names the fields of that one", async () => {
    const answer = await post("/v1/sub?id=7", "text=t&numbers=1&numbers=2", urlencoded);
    assert.deepEqual(answer.json, { id: "7", inner: { text: "t", numbers: [1, 2] } });
  });

  test("an empty form is an empty message", async () => {
    assert.deepEqual(await post("/v1/docs", "", urlencoded), { status: 200, json: {} });
    assert.deepEqual(await post("/v1/docs", "--b--", { "content-type": "multipart/form-data; boundary=b" }), {
      status: 200,
      json: {},
    });
  });

  test("the parts of a multipart form become fields, messages and files", async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, index) => index % 256);
    const answer = await post(
      "/v1/docs",
      form([
        ["id", "größe"],
        ["big", "9007199254740993"],
        ["inner", blob('{"text":"t","numbers":[1,2]}', "application/json")],
        ["tags", "x"],
        ["tags", "y"],
        ["file", blob("a,b\n", "text/csv"), "x.csv"],
        ["data", blob(bytes), "x.bin"],
        ["pages", blob("one"), "1"],
        ["pages", blob("two"), "2"],
      ]),
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    const base64 = (content: string | Uint8Array) => Buffer.from(content as string).toString("base64");
    assert.deepEqual(answer.json, {
      id: "größe",
      big: "9007199254740993",
      tags: ["x", "y"],
      inner: { text: "t", numbers: [1, 2] },
      file: { contentType: "text/csv", data: base64("a,b\n") },
      data: base64(bytes),
      pages: [base64("one"), base64("two")],
    });
  });

  test("a file may lie in a message, beside texts of the same message", async () => {
    const answer = await post(
      "/v1/docs",
      form([
        ["inner.deep.data", blob("x"), "f"],
        ["inner.deep.text", "t"],
        ["inner.text", "u"],
      ]),
    );
    assert.deepEqual(answer.json, { inner: { text: "u", deep: { text: "t", data: "eA==" } } });
    const sub = await post("/v1/sub", form([["data", blob("x"), "f"]]));
    assert.deepEqual(sub.json, { inner: { data: "eA==" } });
  });

  test("a file without a type is application/octet-stream, and one without content is one", async () => {
    const answer = await post("/v1/docs", form([["file", blob(""), "f"]]));
    assert.deepEqual(answer.json, { file: { contentType: "application/octet-stream" } });
  });

  test("the one file of a form is the HttpBody that a method takes", async () => {
    const response = await fetch(`${gateway.url}/v1/raw`, {
      method: "POST",
      body: form([["anything", blob("a,b\n", "text/csv"), "f"]]),
    });
    assert.equal(response.headers.get("content-type"), "text/csv");
    assert.equal(await response.text(), "a,b\n");
    const two = await post(
      "/v1/raw",
      form([
        ["a", blob("1"), "f"],
        ["b", blob("2"), "f"],
      ]),
    );
    assert.deepEqual([two.status, two.json.reason], [400, "UNEXPECTED_BODY"]);
    const raw = await fetch(`${gateway.url}/v1/raw`, { method: "POST", body: "a=1", headers: urlencoded });
    assert.equal(await raw.text(), "a=1");
  });

  test("a file may be larger than other bodies may be, and a compressed form is expanded", async () => {
    const content = "x".repeat(60_000);
    const answer = await post("/v1/docs", form([["data", blob(content), "f"]]));
    assert.equal(answer.status, 200);
    const body = gzipSync('--b\r\ncontent-disposition: form-data; name="id"\r\n\r\n7\r\n--b--');
    const headers = { "content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip" };
    assert.deepEqual((await post("/v1/docs", body, headers)).json, { id: "7" });
  });

  test("a field of the path is not changed by a form", async () => {
    const same = await post("/v1/named/7", "id=7&flag=true", urlencoded);
    assert.deepEqual(same.json, { id: "7", flag: true });
    for (const body of [form([["id", "8"]]), "id=8"]) {
      const answer = await post("/v1/named/7", body, typeof body === "string" ? urlencoded : {});
      assert.deepEqual([answer.status, answer.json.reason], [400, "FIELD_COLLISION"]);
      assert.match(answer.json.message, /^id: /);
    }
    const file = await post("/v1/docs/7/text", form([["file", blob("x"), "f"]]));
    assert.deepEqual([file.status, file.json.reason], [400, "FIELD_COLLISION"]);
  });

  for (const [what, path, body, expected] of [
    ["an unknown field", "/v1/docs", "idd=1", [400, "UNKNOWN_FIELD", /^idd: .*did you mean "id"/]],
    ["a value of another type", "/v1/docs", "big=x", [400, "INVALID_VALUE", /^big: /]],
    ["an unknown field of a message", "/v1/docs", "inner.txt=x", [400, "UNKNOWN_FIELD", /^inner\.txt: /]],
    ["a field twice", "/v1/docs", "id=1&id=2", [400, "REPEATED_PARAMETER", /^id: .*send it once/]],
    ["a message as text", "/v1/docs", "inner=x", [400, "INVALID_VALUE", /^inner: .*application\/json/]],
    [
      "two members of a oneof",
      "/v1/docs",
      "url=a&blob=eA==",
      [400, "ONEOF_CONFLICT", /^blob: .*"url" is set/],
    ],
    [
      "a query beside a whole body",
      "/v1/docs?flag=true",
      "id=1",
      [400, "UNKNOWN_PARAMETER", /query parameters are not accepted/],
    ],
    ["no body", "/v1/none", "id=1", [400, "UNEXPECTED_BODY", /takes no body/]],
    ["a list as body", "/v1/tags", "tags=1", [415, "UNSUPPORTED_MEDIA_TYPE", /"tags" is no message/]],
    [
      "broken percent-encoding",
      "/v1/docs",
      "id=%zz",
      [400, "MALFORMED_QUERY", /not valid percent-encoded UTF-8/],
    ],
    ["bytes that are not encoded", "/v1/docs", "id=é", [400, "MALFORMED_FORM", /not percent-encoded/]],
    ["too many fields", "/v1/docs", "tags=1&".repeat(11), [413, "BODY_TOO_LARGE", /limited to 10 fields/]],
    [
      "too many bytes",
      "/v1/docs",
      `id=${"x".repeat(17_000)}`,
      [413, "BODY_TOO_LARGE", /limited to 16384 bytes/],
    ],
  ] as const) {
    test(`a urlencoded form with ${what} is ${expected[0]} ${expected[1]}`, async () => {
      const answer = await post(path, body, urlencoded);
      assert.deepEqual([answer.status, answer.json.reason], [expected[0], expected[1]]);
      assert.match(answer.json.message, expected[2]);
    });
  }

  for (const [what, entries, expected] of [
    [
      "a file for a text field",
      [["id", blob("x"), "f"]],
      [400, "INVALID_VALUE", /^id: a file needs a field of bytes/],
    ],
    [
      "a file for an unknown field",
      [["fil", blob("x"), "f"]],
      [400, "UNKNOWN_FIELD", /^fil: .*did you mean/],
    ],
    [
      "a file twice",
      [
        ["data", blob("x"), "f"],
        ["data", blob("y"), "f"],
      ],
      [400, "REPEATED_PARAMETER", /^data: .*send it once/],
    ],
    [
      "a file in a message that is JSON",
      [
        ["inner", blob("{}", "application/json")],
        ["inner.data", blob("x"), "f"],
      ],
      [400, "REPEATED_PARAMETER", /^inner\.data: /],
    ],
    [
      "JSON for a message that has a file",
      [
        ["inner.data", blob("x"), "f"],
        ["inner", blob("{}", "application/json")],
      ],
      [400, "REPEATED_PARAMETER", /^inner: /],
    ],
    [
      "a text and a file of one oneof",
      [
        ["url", "u"],
        ["blob", blob("x"), "f"],
      ],
      [400, "ONEOF_CONFLICT", /^blob: "url" is set/],
    ],
    [
      "a file and a text of one oneof",
      [
        ["blob", blob("x"), "f"],
        ["url", "u"],
      ],
      [400, "ONEOF_CONFLICT", /^url: "blob" is set/],
    ],
    ["malformed JSON", [["inner", blob("{", "application/json")]], [400, "MALFORMED_JSON", /^inner: /]],
    [
      "JSON of another type",
      [["inner", blob('{"text":1}', "application/json")]],
      [400, "INVALID_VALUE", /^inner\.text: /],
    ],
    [
      "a name twice in JSON",
      [["inner", blob('{"text":"a","text":"b"}', "application/json")]],
      [400, "DUPLICATE_KEY", /inner/],
    ],
    ["a text of another type", [["id", blob("x", "text/html")]], [400, "INVALID_VALUE", /./]],
    [
      "too many parts",
      Array.from({ length: 11 }, () => ["tags", "x"] as const),
      [413, "BODY_TOO_LARGE", /limited to 10 parts/],
    ],
    [
      "a file that is too large",
      [["data", blob("x".repeat(65_537)), "f"]],
      [413, "BODY_TOO_LARGE", /file "data" is limited to 65536 bytes/],
    ],
    [
      "texts that are too large",
      [
        ["id", "x".repeat(16_000)],
        ["url", "y".repeat(1000)],
      ],
      [413, "BODY_TOO_LARGE", /limited to 16384 bytes/],
    ],
    [
      "a body that is too large",
      Array.from({ length: 5 }, () => ["pages", blob("x".repeat(60_000)), "f"] as const),
      [413, "BODY_TOO_LARGE", /limited to 262144 bytes/],
    ],
  ] as const) {
    test(`a multipart form with ${what} is ${expected[0]} ${expected[1]}`, async () => {
      const answer = await post("/v1/docs", form(entries));
      assert.deepEqual(
        [answer.status, answer.json.reason],
        [expected[0], expected[1]],
        JSON.stringify(answer.json),
      );
      assert.match(answer.json.message, expected[2]);
    });
  }

  const part = (disposition: string, content: string, more = "") =>
    `--b\r\ncontent-disposition: ${disposition}\r\n${more}\r\n${content}\r\n`;
  const multipart = { "content-type": "multipart/form-data; boundary=b" };

  for (const [what, body, message] of [
    ["another boundary", `--c\r\n`, /does not begin with its boundary/],
    ["no final boundary", part("form-data; name=id", "1"), /in the middle of part "id"/],
    [
      "bytes that are not UTF-8",
      Buffer.from(`${part("form-data; name=id", "\xff")}--b--`, "latin1"),
      /part "id" is not text in UTF-8/,
    ],
    [
      "a text of another charset",
      `${part("form-data; name=id", "x", "content-type: text/plain; charset=latin1\r\n")}--b--`,
      /part "id" has content-type "text\/plain; charset=latin1"/,
    ],
  ] as const) {
    test(`a multipart form with ${what} is 400 MALFORMED_FORM`, async () => {
      const answer = await post("/v1/docs", body, multipart);
      assert.deepEqual([answer.status, answer.json.reason], [400, "MALFORMED_FORM"]);
      assert.match(answer.json.message, message);
    });
  }

  test("a form of a page counts only from origins that may act for their visitors", async () => {
    for (const [origin, status] of [
      ["https://evil.example.com", 403],
      ["null", 403],
      ["https://app.example.com", 200],
    ] as const) {
      const plain = await post("/v1/docs", "id=1", { ...urlencoded, origin });
      assert.equal(plain.status, status, origin);
      const parts = await post("/v1/docs", `${part("form-data; name=id", "1")}--b--`, {
        ...multipart,
        origin,
      });
      assert.equal(parts.status, status, origin);
      if (status === 403) assert.equal(plain.json.reason, "ORIGIN_NOT_ALLOWED");
    }
  });

  test("without http.uploads forms are 415", async () => {
    assert.equal((await post("/v1/docs", "id=1", urlencoded, off)).status, 415);
    assert.equal((await post("/v1/docs", form([["id", "1"]]), {}, off)).status, 415);
  });

  test("a client that stops in the middle of a form gets 408", async () => {
    const socket = connect(gateway.httpPort, "127.0.0.1");
    socket.write(
      "POST /v1/docs HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 500\r\n\r\n--b\r\n",
    );
    let text = "";
    socket.setEncoding("latin1").on("data", chunk => {
      text += chunk;
    });
    await once(socket, "close");
    assert.match(text, /^HTTP\/1.1 408 /);
  });
});
