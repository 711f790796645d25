import { nearest } from "../../config/nearest.js";
import { type Failure, gatewayFailure } from "../../status/failure.js";
import type { Reason } from "../../status/reasons.js";
import type { ClientFrame, FrameId } from "./frames.js";

/** A frame that cannot be read, with its id where that much could be. */
export interface FrameFault {
  readonly failure: Failure;
  readonly id: FrameId | undefined;
  readonly room: string | undefined;
}

export type ReadFrame =
  | { readonly frame: ClientFrame; readonly fault: undefined }
  | { readonly frame: undefined; readonly fault: FrameFault };

/** The expectation that a value violates, to follow "expected"; undefined: none. */
type Check = (value: unknown) => string | undefined;

interface Shape {
  readonly fields: ReadonlyMap<string, Check>;
  /** The fields that must be there. */
  readonly required: readonly string[];
}

/** UTF-16 units. */
export const maxNameLength = 128;

/** Control characters and line breaks are not allowed in names, and half a surrogate pair is no character. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;
/** Almost every name. */
const plain = /^[\x20-\x7e]+$/;

/** The error in the name of a room or a person, to follow "expected"; undefined: none. */
export function nameProblem(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length === 0 || value.length > maxNameLength) return nameExpected;
  return plain.test(value) || !unprintable.test(value) ? undefined : nameExpected;
}

const nameExpected = `a string of 1 to ${maxNameLength} characters without control characters`;

function isFrameId(value: unknown): value is FrameId {
  if (typeof value === "number") return Number.isSafeInteger(value);
  return typeof value === "string" && value.length > 0 && value.length <= 64;
}

const id: Check = value => (isFrameId(value) ? undefined : "a string of 1 to 64 characters or an integer");
const message: Check = value => (typeof value === "string" ? undefined : "a string");
const object: Check = value => (isObject(value) ? undefined : "an object");
const method: Check = value =>
  typeof value === "string" && methodName.test(value) ? undefined : "a method such as package.Service/Method";
const since: Check = value => {
  if (!isObject(value) || Object.keys(value).length !== 2) return sinceExpected;
  const { epoch, seq } = value;
  const known = typeof epoch === "string" && epochText.test(epoch) && Number.isSafeInteger(seq);
  return known && (seq as number) >= 0 ? undefined : sinceExpected;
};
const sinceExpected = '{"epoch": string, "seq": integer from 0}';
const epochText = /^[A-Za-z0-9_-]{1,64}$/;
const methodName = /^[A-Za-z_][\w.]{0,254}\/[A-Za-z_]\w{0,126}$/;
const token: Check = value =>
  typeof value === "string" && tokenText.test(value) ? undefined : "a token of visible ASCII characters";
const tokenText = /^[\x21-\x7e]{1,16384}$/;
const anything: Check = () => undefined;
const flag: Check = value => (typeof value === "boolean" ? undefined : "true or false");
const event: Check = value =>
  typeof value === "string" && eventName.test(value) ? undefined : eventExpected;
export const eventExpected = "a string of 1 to 64 letters, digits and . _ : -";
export const eventName = /^[A-Za-z0-9._:-]{1,64}$/;
const key: Check = value => (typeof value === "string" && keyText.test(value) ? undefined : keyExpected);
export const keyExpected = "a string of 1 to 128 visible ASCII characters";
export const keyText = /^[\x21-\x7e]{1,128}$/;
const before: Check = value =>
  Number.isSafeInteger(value) && (value as number) > 0 ? undefined : "an integer from 1";
const limit: Check = value =>
  Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= maxPage
    ? undefined
    : `an integer from 1 to ${maxPage}`;
/** Messages of a page of history. */
export const maxPage = 1000;

function shape(required: readonly string[], fields: Readonly<Record<string, Check>>): Shape {
  return { required, fields: new Map([["type", anything], ["id", id], ...Object.entries(fields)]) };
}

/** The schema of every frame that a client can send. */
const shapes: ReadonlyMap<string, Shape> = new Map([
  ["join-room", shape(["room_id"], { room_id: nameProblem, from: nameProblem, since, token })],
  ["leave-room", shape(["room_id"], { room_id: nameProblem, from: nameProblem })],
  ["send-message", shape(["room_id", "message"], { room_id: nameProblem, from: nameProblem, message, key })],
  [
    "publish",
    shape(["room_id"], {
      room_id: nameProblem,
      from: nameProblem,
      event,
      data: anything,
      ephemeral: flag,
      key,
    }),
  ],
  ["history", shape(["room_id"], { room_id: nameProblem, before, limit })],
  ["presence", shape(["room_id"], { room_id: nameProblem })],
  ["call", shape(["id", "method"], { method, body: object })],
  ["cancel", shape(["id"], {})],
  ["ping", shape([], {})],
  ["refresh", shape(["token"], { token })],
]);

/** Types of frames that clients send. */
export const frameTypes: readonly string[] = [...shapes.keys()];

/** `join` for `join-room`; verbs of several types lead to none. */
const byVerb = new Map<string, string | undefined>();
for (const type of frameTypes) {
  const verb = type.split("-", 1)[0]!;
  byVerb.set(verb, byVerb.has(verb) ? undefined : type);
}

/** Reads and checks a text frame. Never throws. */
export function readFrame(text: string): ReadFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return faulty("MALFORMED_JSON", "the frame is not valid JSON", undefined);
  }
  if (!isObject(value)) return faulty("INVALID_VALUE", "the frame must be a JSON object", undefined);
  const { type } = value;
  if (type === undefined) return faulty("INVALID_VALUE", "type not provided", value);
  const known = typeof type === "string" ? shapes.get(type) : undefined;
  if (known === undefined) return faulty("UNKNOWN_TYPE", unknownType(type), value);
  const { fields, required } = known;
  for (const name in value) {
    const check = fields.get(name);
    if (check === undefined)
      return faulty("UNKNOWN_FIELD", unknownField(name, type as string, fields), value);
    const expected = check(value[name]);
    if (expected !== undefined) return faulty("INVALID_VALUE", `${name}: expected ${expected}`, value);
  }
  for (const name of required) {
    if (value[name] === undefined) return faulty("INVALID_VALUE", `${name} not provided`, value);
  }
  if (type === "publish") {
    const problem = publishProblem(value);
    if (problem !== undefined) return faulty("INVALID_VALUE", problem, value);
  }
  return { frame: value as unknown as ClientFrame, fault: undefined };
}

/** The error in a message of `event` and `data`, from any source. */
export function publishProblem({
  event,
  data,
  ephemeral,
  key,
}: Readonly<Record<string, unknown>>): string | undefined {
  if (event === undefined && data === undefined) return "expected data, event or both";
  if (ephemeral === true && key !== undefined)
    return "key: an ephemeral message is not remembered; expected no key";
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function faulty(reason: Reason, message: string, value: Record<string, unknown> | undefined): ReadFrame {
  return {
    frame: undefined,
    fault: {
      failure: gatewayFailure(reason, message),
      id: isFrameId(value?.id) ? value.id : undefined,
      room: nameProblem(value?.room_id) === undefined ? (value?.room_id as string | undefined) : undefined,
    },
  };
}

function unknownType(type: unknown): string {
  if (typeof type !== "string") return "type: expected a string";
  const name = type.slice(0, 64);
  const near = nearest(name, frameTypes) ?? byVerb.get(nearest(name, byVerb.keys()) ?? "");
  const expected = near === undefined ? `; expected ${frameTypes.join(", ")}` : hint(near);
  return `unknown type ${shown(type)}${expected}`;
}

function unknownField(name: string, type: string, fields: ReadonlyMap<string, Check>): string {
  return `unknown field ${shown(name)} in ${type}${hint(nearest(name.slice(0, 64), [...fields.keys()]))}`;
}

function hint(near: string | undefined): string {
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
}
