import type { Codec } from "../../codec/codec.js";
import type { MessageType } from "../../descriptors/model.js";
import type { EventFrames, EventKind } from "./bridge.js";

/** The members of a frame that a reply may rewrite. The room never is one, nor is who is authenticated. */
export type Rewritten = "message" | "from";

/**
 * Applies a reply to the frame that it answers.
 * @throws TranscodeError where the bytes are not a message of the reply's type
 */
export type EventReply<K extends EventKind = EventKind> = (
  frame: EventFrames[K],
  reply: Uint8Array,
) => EventFrames[K];

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
  return (frame, reply) => {
    if (reply.length === 0) return frame;
    const json = JSON.parse(codec.decode(reply)) as Record<string, unknown>;
    const changes: Record<string, unknown> = {};
    for (const name of read) if (typeof json[name] === "string") changes[name] = json[name];
    return { ...frame, ...changes };
  };
}

/** Whether replies of that type can rewrite the member. */
export function rewrites(output: MessageType, name: Rewritten): boolean {
  const field = output.fieldsByName.get(name);
  return field !== undefined && field.kind === "string" && !field.repeated;
}
