import type { LocalOperation } from "../../bindings/built-in-route.js";
import type { JsonSchema } from "../../dialects/dialect.js";
import { maxNameLength } from "../chat/frame-reader.js";

const tag = { name: "rooms", description: "The rooms of the gateway's WebSockets." };

const name = (description: string) => ({
  type: "string",
  maxLength: maxNameLength,
  pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$",
  description,
});

const room = name("The name of a room.");
const from = name("The name of the sender.");

/** A member that may be left out, or null. */
const optional = ({ type, ...schema }: JsonSchema & { readonly type: string }): JsonSchema => ({
  type: [type, "null"],
  ...schema,
});

const position = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

const message = {
  type: "object",
  description: "A message as members of its room get it.",
  properties: {
    type: { const: "receive-message" },
    room_id: { type: "string" },
    from: { type: "string" },
    message: { type: "string" },
    event: { type: "string", description: "What kind of message it is." },
    data: { description: "Any JSON, in place of a text." },
    sent_at: { type: ["number", "string"], description: "Seconds or milliseconds since 1970." },
    seq: { type: "integer", description: "The number of the message in its room." },
    epoch: { type: "string", description: "The history that the number belongs to." },
  },
  required: ["type", "room_id", "from"],
};

const bodyReasons = [
  "MALFORMED_JSON",
  "DUPLICATE_KEY",
  "TOO_DEEP",
  "INVALID_VALUE",
  "UNKNOWN_FIELD",
  "UNSUPPORTED_MEDIA_TYPE",
  "BODY_TOO_LARGE",
  "POLICY_DENIED",
  "NO_SUCH_ROOM",
  "BROKER_UNAVAILABLE",
] as const;

export const listRoomsOperation: LocalOperation = {
  id: "realtime.rooms",
  summary: "Lists the rooms that hold messages",
  description: "Those that the caller may use.",
  tag,
  response: {
    type: "object",
    properties: { rooms: { type: "array", items: { type: "string" } } },
    required: ["rooms"],
  },
  reasons: ["BROKER_UNAVAILABLE"],
};

const absent = { type: "null" };

const event = {
  type: "string",
  pattern: "^[A-Za-z0-9._:-]{1,64}$",
  description: "What kind of message it is; with `data`, or alone, in place of `message`.",
};

const data = { description: "Any JSON, in place of `message`." };

const ephemeral = { type: "boolean", description: "It gets no number and is not kept." };

const key = optional({
  type: "string",
  pattern: "^[\\x21-\\x7e]{1,128}$",
  description: "Of two messages of a sender with the same key in a room the second is not published.",
});

/** @param anonymous whether callers have no name but the one that they give */
export function sendOperation(anonymous: boolean): LocalOperation {
  const either = (required: string, properties: JsonSchema): JsonSchema => ({
    type: "object",
    properties: { room_id: room, from: anonymous ? from : optional(from), ...properties },
    required: [...(anonymous ? ["room_id", "from"] : ["room_id"]), required],
    additionalProperties: false,
  });
  const json = (required: string, members: JsonSchema): readonly JsonSchema[] => [
    either(required, { ...members, message: absent, key, ephemeral: { enum: [false, null] } }),
    either(required, { ...members, message: absent, key: absent, ephemeral: optional(ephemeral) }),
  ];
  return {
    id: "realtime.send",
    summary: "Sends a message to a room",
    tag,
    body: {
      anyOf: [
        either("message", { message: { type: "string" }, key, event: absent, ephemeral: absent }),
        ...json("event", { event, data }),
        ...json("data", { event: optional(event), data }),
      ],
    },
    response: message,
    reasons: [...bodyReasons, "FROM_MISMATCH", "RATE_LIMITED", "NOT_ALLOWED_IN_ROOM"],
  };
}

export const receiveOperation: LocalOperation = {
  id: "realtime.receive",
  summary: "Gives the messages that a room holds, oldest first",
  tag,
  body: {
    type: "object",
    properties: {
      room_id: room,
      before: optional({ ...position, description: "Only messages with lower numbers." }),
      limit: optional({ ...position, description: "The last so many of them." }),
    },
    required: ["room_id"],
    additionalProperties: false,
  },
  response: {
    type: "object",
    properties: { messages: { type: "array", items: message } },
    required: ["messages"],
  },
  reasons: bodyReasons,
};
