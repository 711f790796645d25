import type { RoomParts } from "../../auth/policy/rule.js";
import type { Codec } from "../../codec/codec.js";
import { createObject, type JsonObject, type JsonValue } from "../../codec/json.js";
import { EMPTY, STRUCT } from "../../codec/well-known.js";
import type { Field, MessageType } from "../../descriptors/model.js";
import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import type { EventFrames, EventKind, Session } from "./bridge.js";

/** The members of a frame that a reply may rewrite; never the room or an authenticated subject. */
export type Rewritten = "message" | "from";

/**
 * Applies a reply to the frame of its event; a promise where the reply is large.
 * @throws (or rejects with) TranscodeError where the bytes are not a message of the reply's type
 */
export type EventReply<K extends EventKind = EventKind> = (
  frame: EventFrames[K],
  reply: Uint8Array,
) => EventFrames[K] | Promise<EventFrames[K]>;

/**
 * Reads replies of the given type: each of `fields` that is set replaces the frame's member of that name. A field
 * without presence is set where it is not empty.
 * @returns undefined where the type has none of the fields, so that replies need not be read
 */
export function eventReply(
  output: MessageType,
  codec: Codec,
  fields: readonly Rewritten[],
): EventReply | undefined {
  const read = fields.filter(name => rewrites(output, name));
  if (read.length === 0) return undefined;
  return replyReader(codec, (frame, json) => {
    const changes: Record<string, unknown> = {};
    for (const name of read) if (typeof json[name] === "string") changes[name] = json[name];
    return { ...frame, ...changes };
  });
}

/** Reads from replies to `connect` which rooms the socket is a member of; undefined where they have no list of that name. */
export function connectReply(output: MessageType, codec: Codec): EventReply | undefined {
  const field = output.fieldsByName.get("rooms");
  if (field === undefined || field.kind !== "string" || !field.repeated) return undefined;
  return replyReader(codec, (frame, json) => {
    const { rooms } = json as { readonly rooms?: readonly string[] };
    return frame.type === "connect" && rooms !== undefined ? { ...frame, rooms } : frame;
  });
}

/** Reads replies as JSON, large ones in slices. */
function replyReader(
  codec: Codec,
  apply: (frame: EventFrames[EventKind], json: Readonly<Record<string, unknown>>) => EventFrames[EventKind],
): EventReply {
  return (frame, reply) => {
    if (reply.length === 0) return frame;
    const text = codec.decodeInTurns(reply);
    const read = (printed: string) => apply(frame, JSON.parse(printed) as Record<string, unknown>);
    return whenReady(text, read);
  };
}

/** Whether replies of that type can rewrite the member. */
export function rewrites(output: MessageType, name: Rewritten): boolean {
  const field = output.fieldsByName.get(name);
  return field !== undefined && field.kind === "string" && !field.repeated;
}

/** The values of an event that a request can have: the members of its frame, and the session. */
const offered = {
  connect: ["type", "from", "session_id"],
  join: ["type", "room_id", "from", "id", "session_id"],
  message: ["type", "room_id", "from", "message", "event", "data", "id", "session_id"],
  leave: ["type", "room_id", "from", "id", "session_id"],
  disconnect: ["type", "from", "code", "session_id"],
} as const satisfies Readonly<Record<EventKind, readonly string[]>>;

/** Members that a request takes where it has a text of that name: backends from before them may mean something else. */
const optional: ReadonlySet<string> = new Set(["event", "data"]);

/** One member of a frame and the field that it goes to. */
interface FieldOfMember {
  readonly name: string;
  /** A text that a client may write as a number, too. */
  readonly text: boolean;
}

/** Makes the JSON of a request from an event. */
export type EventRequest = (session: Session, frame: EventFrames[EventKind]) => JsonObject;

/**
 * Binds the frames of an event to a request message by name: a member that the message has no field for is left out.
 * A Struct takes everything.
 */
export function eventRequest(kind: EventKind, input: MessageType, parts?: RoomParts): EventRequest {
  const used: FieldOfMember[] = [];
  for (const name of offered[kind]) {
    const field = input.fieldsByName.get(name);
    if (field !== undefined && optional.has(name) && !isText(field)) continue;
    if (input.fullName === STRUCT || field !== undefined) {
      used.push({ name, text: field?.kind === "string" });
    }
  }
  const taken = partFields(kind, input, parts);
  const readsText = used.some(({ name }) => name === "message");
  const readsData = used.some(({ name }) => name === "data");
  return (session, frame) => {
    const json = createObject();
    const members: { readonly [name: string]: unknown } = { ...frame };
    // Else the backend would decide on other data than is published.
    if (frame.type === "publish" && frame.data !== undefined && readsText && !readsData)
      throw gatewayError(
        "NOT_ALLOWED_IN_ROOM",
        "the backend that decides on messages reads texts alone: its request has no field data",
      );
    for (const name of taken) {
      const value = "room_id" in frame ? parts?.part(frame.room_id, name) : undefined;
      if (value !== undefined) json[name] = value;
    }
    for (const { name, text } of used) {
      const value = name === "session_id" ? session.id : members[name];
      if (value === undefined) continue;
      json[name] = (text ? String(value) : value) as JsonValue;
    }
    return json;
  };
}

/** The parts of rooms' names that the request has fields for. */
function partFields(kind: EventKind, input: MessageType, parts: RoomParts | undefined): readonly string[] {
  if (parts === undefined || kind === "connect" || kind === "disconnect") return [];
  return [...parts.names].filter(name => {
    const field = input.fieldsByName.get(name);
    return input.fullName === STRUCT || (field !== undefined && isScalar(field));
  });
}

/** Problems of a request type for an event, in words for people; errors and warnings apart. */
export function requestProblems(
  kind: EventKind,
  input: MessageType,
): { errors: string[]; warnings: string[] } {
  const errors: string[] = [];
  const warnings: string[] = [];
  if (input.fullName === EMPTY || input.fullName === STRUCT) return { errors, warnings };
  const fields = offered[kind].flatMap(name =>
    optional.has(name) ? [] : (input.fieldsByName.get(name) ?? []),
  );
  for (const field of fields) {
    const fits =
      field.name === "code" ? isNumber(field) : field.name === "id" ? isScalar(field) : isText(field);
    const expected = field.name === "code" ? "an integer" : field.name === "id" ? "a scalar" : "a string";
    if (!fits)
      errors.push(
        `${input.fullName}.${field.name} cannot take the frame's "${field.name}": it must be ${expected}`,
      );
  }
  if (fields.length === 0) {
    warnings.push(
      `${input.fullName} has none of the fields ${offered[kind].filter(name => !optional.has(name)).join(", ")}; the backend gets only the metadata of the event`,
    );
  }
  return { errors, warnings };
}

function isText(field: Field): boolean {
  return field.kind === "string" && !field.repeated;
}

function isScalar(field: Field): boolean {
  return field.kind !== "message" && !field.repeated;
}

function isNumber(field: Field): boolean {
  return /^[us]?int(32|64)$/.test(field.kind) && !field.repeated;
}
