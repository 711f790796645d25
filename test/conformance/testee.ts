/**
 * The program under test of the conformance suite: it reads requests from stdin and answers on stdout, each with its
 * length before it (32 bits, little-endian). Requests and answers are themselves transcoded by the codec under test.
 */
import { readSync, writeSync } from "node:fs";
import type { JsonPolicy } from "../../src/codec/codec.js";
import { type Codecs, createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { MessageType } from "../../src/descriptors/model.js";
import { PROTOS } from "./runner.js";

const STDIN = 0;
const STDOUT = 1;
const POLICY: JsonPolicy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "reject",
  depth: 100,
};

/** `conformance.ConformanceRequest` as ProtoJSON, bytes in base64. */
interface Request {
  readonly protobufPayload?: string;
  readonly jsonPayload?: string;
  readonly requestedOutputFormat?: string;
  readonly messageType?: string;
  readonly testCategory?: string;
}

/** `conformance.ConformanceResponse` as ProtoJSON. */
type Response =
  | { readonly parseError: string }
  | { readonly serializeError: string }
  | { readonly runtimeError: string }
  | { readonly skipped: string }
  | { readonly protobufPayload: string }
  | { readonly jsonPayload: string };

const { model } = await loadModel([{ kind: "protos", folder: PROTOS, include: [] }]);
const strict = createCodecs(model, POLICY);
const lenient = createCodecs(model, { ...POLICY, unknownFields: "ignore" });
const writer = new Writer();
const answers = new Map<string, number>();

for (let head = read(4); head !== undefined; head = read(4)) {
  const wire = read(head.readUInt32LE(0)) ?? Buffer.alloc(0);
  const request = JSON.parse(
    strict.message(typeOf("conformance.ConformanceRequest")).decode(wire),
  ) as Request;
  const response = respond(request);
  count(request, response);
  send(encode(strict, typeOf("conformance.ConformanceResponse"), JSON.stringify(response)));
}
for (const [what, times] of [...answers].sort()) console.error(`${what}: ${times}`);

function respond(request: Request): Response {
  const type = model.message(request.messageType ?? "");
  if (type === undefined) return { skipped: `no message type ${request.messageType}` };
  const codecs = request.testCategory === "JSON_IGNORE_UNKNOWN_PARSING_TEST" ? lenient : strict;
  try {
    if (request.jsonPayload !== undefined) return fromJson(codecs, type, request, request.jsonPayload);
    if (request.protobufPayload !== undefined)
      return fromWire(codecs, type, request, request.protobufPayload);
  } catch (error) {
    return { runtimeError: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  return { skipped: "the payload is neither protobuf nor JSON" };
}

function fromJson(codecs: Codecs, type: MessageType, request: Request, json: string): Response {
  const parsed = attempt(() => encode(codecs, type, json));
  if (parsed instanceof TranscodeError) return { parseError: reason(parsed) };
  if (request.requestedOutputFormat === "PROTOBUF") return { protobufPayload: base64(parsed) };
  return request.requestedOutputFormat === "JSON"
    ? toJson(codecs, type, parsed)
    : { skipped: "no such output" };
}

function fromWire(codecs: Codecs, type: MessageType, request: Request, payload: string): Response {
  if (request.requestedOutputFormat === "JSON") return toJson(codecs, type, Buffer.from(payload, "base64"));
  // A transcoder never writes the format that it read. By way of JSON, where unknown fields have no place, the answer
  // would be another message.
  return { skipped: "protobuf is only read into JSON" };
}

function toJson(codecs: Codecs, type: MessageType, wire: Uint8Array): Response {
  const text = attempt(() => codecs.message(type).decode(wire));
  if (!(text instanceof TranscodeError)) return { jsonPayload: text };
  return isInexpressible(text) ? { serializeError: reason(text) } : { parseError: reason(text) };
}

/** The suite tells bytes that are no message from messages that have no JSON; the codec reads and prints in one. */
function isInexpressible(error: TranscodeError): boolean {
  return /out of range|lowerCamelCase|cannot hold/.test(error.message);
}

function encode(codecs: Codecs, type: MessageType, json: string): Uint8Array {
  writer.reset();
  codecs.message(type).encodeText(Buffer.from(json), writer);
  return writer.finish();
}

function attempt<T>(work: () => T): T | TranscodeError {
  try {
    return work();
  } catch (error) {
    if (error instanceof TranscodeError) return error;
    throw error;
  }
}

function typeOf(name: string): MessageType {
  const type = model.message(name);
  if (type === undefined) throw new Error(`no message ${name}`);
  return type;
}

function reason(error: TranscodeError): string {
  return `${error.reason} ${error.field}: ${error.message}`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function count(request: Request, response: Response): void {
  const from =
    request.jsonPayload !== undefined ? "JSON" : request.protobufPayload !== undefined ? "protobuf" : "other";
  const what = "skipped" in response ? "skipped" : "answered";
  const key = `${from} to ${request.requestedOutputFormat}, ${what}`;
  answers.set(key, (answers.get(key) ?? 0) + 1);
}

/** Exactly `length` bytes; undefined at the end of the input. */
function read(length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const got = readSync(STDIN, bytes, at, length - at, null);
    if (got === 0) return undefined;
    at += got;
  }
  return bytes;
}

function send(message: Uint8Array): void {
  const frame = Buffer.alloc(4 + message.length);
  frame.writeUInt32LE(message.length);
  frame.set(message, 4);
  for (let at = 0; at < frame.length; ) at += writeSync(STDOUT, frame, at);
}
