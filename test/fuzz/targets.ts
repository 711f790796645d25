import assert from "node:assert/strict";
import { ExpressionError } from "../../src/auth/policy/expression.js";
import { parseExpression } from "../../src/auth/policy/expression-parser.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { JsonNumber, type JsonValue } from "../../src/codec/json.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { eachParameter } from "../../src/codec/json-to-wire/query.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { DiagnosticList } from "../../src/descriptors/diagnostic-list.js";
import { readFiles } from "../../src/descriptors/load/read.js";
import { parseProto } from "../../src/descriptors/parse/file.js";
import { SyntaxFault } from "../../src/descriptors/parse/scanner.js";
import type { FrameReader } from "../../src/h2/frame-reader.js";
import { ConnectionError } from "../../src/h2/protocol.js";
import { isHostHeader, trustedAddresses } from "../../src/net/forwarded-list.js";
import { atOnce } from "../../src/net/pace.js";
import { readFrame } from "../../src/realtime/chat/frame-reader.js";
import { RouterBuilder } from "../../src/routing/router.js";
import { segmentText, TemplateError } from "../../src/routing/template.js";
import { parseTemplate } from "../../src/routing/template-parser.js";
import { decodeStatus } from "../../src/status/details.js";
import { parseTraceparent } from "../../src/telemetry/traceparent.js";
import { TrpcError } from "../../src/upstream/trpc/frame.js";
import { model, POLICY, type } from "../codec/schema.js";
import { Recorder, readInChunks } from "../h2/fuzz-frames.js";
import { frameReader, hpackDecoder } from "../h2/parts.js";
import { eventsOf } from "../upstream/trpc/frame-recorder.js";

/** A reader of bytes that strangers send, and what must hold of every input. */
export interface FuzzTarget {
  /** Also the folder of its corpus. */
  readonly name: string;
  /** Inputs to start from where the corpus is empty, latin1. */
  readonly seeds: readonly string[];
  /** @throws whatever breaks the property; errors that the reader documents are caught in here */
  run(input: Buffer): void;
}

const depth = 20;
const codecs = createCodecs(model, { ...POLICY, depth });
const all = type("three.All");
const allCodec = codecs.message(all);
const writer = new Writer();

function outcome<T>(f: () => T): { readonly value: T } | { readonly error: TranscodeError } {
  try {
    return { value: f() };
  } catch (error) {
    if (error instanceof TranscodeError) return { error };
    throw error;
  }
}

/** The message that `write` makes. */
function encoded(write: (into: Writer) => void): Uint8Array {
  writer.reset();
  write(writer);
  return writer.finish();
}

/** Runs a reader whose only errors are those of one class. */
function expecting(errors: new (...args: never[]) => Error, f: () => void): void {
  try {
    f();
  } catch (error) {
    if (!(error instanceof errors)) throw error;
  }
}

function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

const router = new RouterBuilder<string>();
for (const template of [
  "/",
  "/v1/{name}",
  "/v1/{name=shelves/*/books/*}",
  "/v1/{name=**}:cancel",
  "/v1/a/*/c",
  "/v1/{rest=**}",
  "/v1/{name=**/tail/*}",
])
  router.add("GET", parseTemplate(template), template);
const routes = router.build();

const queryPlan = new RequestPlan({
  input: all,
  codecs,
  variables: [],
  body: { kind: "none" },
  query: { unknown: "reject", ignore: new Set() },
  fillUpdateMask: false,
  depth,
});

export const targets: readonly FuzzTarget[] = [
  {
    name: "json-reader",
    seeds: [
      '{"a":[1,-0.5e+3,"\\u00e9\\ud83d\\ude00",true,null,{}]}',
      "9007199254740993",
      '"\\ud800"',
      "[1,]",
    ],
    /** Accepts nothing that JSON.parse refuses, and reads the same values. */
    run(input) {
      const read = outcome(() => parseJson(input, { depth }));
      if ("error" in read) return;
      const text = new TextDecoder("utf-8", { fatal: true }).decode(input);
      assert.deepEqual(plain(read.value), plain(JSON.parse(text) as JsonValue));
    },
  },
  {
    name: "json-to-wire",
    seeds: [
      '{"fInt32":1,"fString":"x","rInt64":["1",2],"mString":{"a":"b"},"cString":"y"}',
      '{"f_double":"NaN","f_bytes":"AQI="}',
      '{"timestamp":"2020-01-01T00:00:00.5Z","duration":"1.5s","mask":"a.b,c"}',
      '{"struct":{"a":[null,1,{"b":true}]},"any":{"@type":"type.googleapis.com/three.All","fInt32":3}}',
    ],
    /** The pass over the text and the way through the tree agree, and what they write prints as valid JSON that reads back. */
    run(input) {
      const tree = outcome(() => encoded(into => allCodec.encode(parseJson(input, { depth }), into)));
      const pass = outcome(() => encoded(into => allCodec.encodeText(input, into)));
      if ("error" in tree || "error" in pass) {
        assert.ok("error" in tree && "error" in pass, "only one of the two refuses");
        assert.deepEqual(
          [pass.error.reason, pass.error.field, pass.error.message],
          [tree.error.reason, tree.error.field, tree.error.message],
        );
        return;
      }
      const json = allCodec.decode(tree.value);
      assert.deepEqual(JSON.parse(allCodec.decode(pass.value)), JSON.parse(json));
      assert.deepEqual(
        JSON.parse(allCodec.decode(encoded(into => allCodec.encodeText(Buffer.from(json), into)))),
        JSON.parse(json),
      );
    },
  },
  {
    name: "wire-to-json",
    seeds: ["\x08\x01", "\x0a\x03abc", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x3a\x02\x08\x01"],
    /** Whatever can be printed is JSON that the gateway reads again. */
    run(input) {
      const printed = outcome(() => allCodec.decode(input));
      if ("error" in printed) return;
      const again = outcome(() => encoded(into => allCodec.encodeText(Buffer.from(printed.value), into)));
      if ("error" in again) {
        // An Any whose type is unknown is printed as base64, which is output only.
        assert.match(printed.value, /"@type"/, again.error.message);
        return;
      }
      assert.deepEqual(JSON.parse(allCodec.decode(again.value)), JSON.parse(printed.value));
    },
  },
  {
    name: "query",
    seeds: ["fInt32=1&fString=a+b&rInt64=1&rInt64=2", "mString[a%5D]=%41&timestamp.seconds=5", "a=%zz&&b"],
    /** Names and values are those of URLSearchParams; a request is read or refused with a TranscodeError. */
    run(input) {
      const raw = input.toString("latin1");
      const found: [string, string][] = [];
      const split = outcome(() => eachParameter(raw, (name, value) => found.push([name, value])));
      if (!("error" in split) && !/[^\x21-\x7e]/.test(raw))
        assert.deepEqual(
          found,
          [...new URLSearchParams(`?${raw}`)].filter(
            ([name, value]) => name !== "" || value !== "" || raw.includes("="),
          ),
        );
      const request = outcome(() => queryPlan.encode([], raw, { contentType: "", bytes: new Uint8Array() }));
      if (!("error" in request)) JSON.parse(allCodec.decode(request.value));
    },
  },
  {
    name: "http-template",
    seeds: ["/v1/{name=shelves/*/books/**}:cancel", "/a/{b.c}/d/{e=*}", "/%41/**/x", "/v1/{a"],
    /** A template that is read prints as one that is read alike. */
    run(input) {
      expecting(TemplateError, () => {
        const template = parseTemplate(input.toString("utf8"));
        const text = `/${template.segments.map(segmentText).join("/")}`;
        assert.deepEqual(parseTemplate(text).segments, template.segments);
      });
    },
  },
  {
    name: "path",
    seeds: ["/v1/shelves/1/books/2", "/v1/a%2Fb/c:cancel", "/v1//x", "/v1/%2e%2e/x", "/v1/x/tail/%E2%82%AC"],
    /** The router finds at most one route, and explains what it finds. */
    run(input) {
      const path = `/${input.toString("latin1")}`;
      const match = routes.match("GET", path);
      const [winner] = routes.explain("GET", path);
      if (match.kind === "found") assert.equal(winner?.value, match.value);
    },
  },
  {
    name: "proto-file",
    seeds: [
      'syntax = "proto3"; package a; message M { int32 x = 1 [deprecated = true]; oneof o { string y = 2; } }',
      'edition = "2023"; enum E { A = 0; reserved 2 to max; } service S { rpc C(stream M) returns (M) { option (x).y = { a: 1 b: [2] }; } }',
      "message M { optional group G = 1 { extensions 4 to 5; } map<string, M> m = 3; } // end",
    ],
    /** Ends in a file or in a SyntaxFault. */
    run(input) {
      expecting(SyntaxFault, () => void parseProto(input.toString("utf8")));
    },
  },
  {
    name: "descriptor-file",
    seeds: ["\x0a\x07a.proto\x12\x01a\x22\x03\x0a\x01M", "\x0a\x01f\x1a\x01g\x62\x06proto3"],
    /** Ends in a file or in a problem that is reported. */
    run(input) {
      const problems = new DiagnosticList();
      const files = atOnce(readFiles("set", "fuzz", [input], problems));
      assert.equal(files.length + problems.errors, 1);
    },
  },
  {
    name: "hpack",
    seeds: [
      "\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
      "\x3f\xe1\x1f\x40\x01a\x01b",
      "\x00\x01a\x01b",
    ],
    /** Ends in fields or in a ConnectionError; so does the next block of the same connection. */
    run(input) {
      const decoder = hpackDecoder();
      expecting(ConnectionError, () => {
        for (let round = 0; round < 2; round++)
          decoder.decode(input, 0, input.length, {
            field: ({ name, value }) => assert.equal(typeof name + typeof value, "stringstring"),
          });
      });
    },
  },
  {
    name: "http2-frames",
    seeds: [
      "\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0abcdefgh",
      "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x03\0\x01\0\0\0\x01abc",
      "\0\0\x02\x01\x04\0\0\0\x01\x88\x84\0\0\x04\x08\0\0\0\0\0\0\0\x01\0",
    ],
    /** The events do not depend on how the bytes are cut. */
    run(input) {
      const read = (feed: (reader: FrameReader) => void): readonly [string, unknown] => {
        const recorder = new Recorder();
        let fault: unknown;
        try {
          feed(frameReader(recorder));
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
          fault = error.message;
        }
        return [JSON.stringify(recorder.joined()), fault];
      };
      const whole = read(reader => reader.read(input, input.length));
      const [events, fault] = read(reader => readInChunks(reader, input, [1, 3, 2, 7]));
      assert.equal(fault, whole[1]);
      if (fault === undefined) assert.equal(events, whole[0]);
    },
  },
  {
    name: "trpc-frames",
    seeds: [
      "\x09\x30\0\0\0\0\0\x16\0\x04\0\0\0\x01\x01\0\x18\x01\x20\x0b\x0a\0",
      "\x09\x30\0\0\0\0\0\x21\0\x0d\0\0\0\x02\x01\0\x18\x02\x42\x06\x0a\x01a\x12\x01b\x60\x03\x0a\x01abc",
      "\x09\x30\x01\x04\0\0\0\x12\0\0\0\0\0\x01\x01\0\x08\x01",
    ],
    /** Ends in events or in a TrpcError, the same wherever the bytes are cut. */
    run(input) {
      const read = (sizes: readonly number[]): string[] | string => {
        try {
          return eventsOf(input, sizes);
        } catch (error) {
          if (error instanceof TrpcError) return error.message;
          throw error;
        }
      };
      const whole = read([Math.max(input.length, 1)]);
      for (const sizes of [[1], [7, 16, 3]]) assert.deepEqual(read(sizes), whole);
    },
  },
  {
    name: "policy-rule",
    seeds: [
      'subject == request.user_id && "admin" in scopes',
      "!(claim.level >= 3) || path.x != 'a'",
      "a.b[0]",
    ],
    /** Ends in an expression or in an ExpressionError. */
    run(input) {
      expecting(ExpressionError, () => void parseExpression(input.toString("utf8")));
    },
  },
  {
    name: "socket-frame",
    seeds: [
      '{"type":"join","room_id":"r","id":1}',
      '{"type":"send-message","room_id":"r","text":"x"}',
      '{"type":9}',
    ],
    /** Never throws; reads objects only. */
    run(input) {
      const read = readFrame(input.toString("utf8"));
      if (read.fault === undefined) assert.equal(typeof read.frame.type, "string");
    },
  },
  {
    name: "error-details",
    seeds: ["\x08\x05\x12\x02no\x1a\x05\x0a\x03a/b", "\x1a\x02\x0a\x00"],
    /** Never throws. */
    run(input) {
      const status = decodeStatus(input);
      if (status !== undefined) assert.ok(Number.isInteger(status.code));
    },
  },
  {
    name: "forwarded",
    seeds: [
      '1.2.3.4, "[::1]:80", unknown',
      "example.com:8080",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
    /** Never throws; at most as many addresses as there are trusted proxies. */
    run(input) {
      const text = input.toString("latin1");
      for (const hops of [0, 1, 3]) assert.ok(trustedAddresses(text, hops).length <= hops);
      isHostHeader(text);
      const trace = parseTraceparent(text);
      if (trace !== undefined) assert.ok(text.startsWith("0") || text.length >= 55);
    },
  },
];
