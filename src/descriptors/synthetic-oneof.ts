import type { Steps } from "../net/pace.js";
import type { FileProto, MessageProto } from "./descriptor-proto.js";

/**
 * Marks the proto3 `optional` fields of a file whose maker left the mark out: such a field is the only one of a oneof
 * `_name`, as protoc makes it (https://github.com/protocolbuffers/protobuf/blob/main/docs/implementing_proto3_presence.md).
 */
export function* markOptional({ syntax, messageType }: FileProto): Steps {
  if (syntax === "proto3") for (const message of messageType) yield* markIn(message);
}

function* markIn({ field, oneofDecl, nestedType }: MessageProto): Steps {
  yield 1 + field.length / 20;
  const members = field.filter(each => Object.hasOwn(each, "oneofIndex") && !each.proto3Optional);
  const counts = new Map<number | undefined, number>();
  for (const { oneofIndex } of members) counts.set(oneofIndex, (counts.get(oneofIndex) ?? 0) + 1);
  for (const member of members) {
    const { name, oneofIndex = 0 } = member;
    if (counts.get(oneofIndex) === 1 && oneofDecl[oneofIndex]?.name === `_${name}`)
      member.proto3Optional = true;
  }
  for (const nested of nestedType) yield* markIn(nested);
}
