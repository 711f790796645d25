import type { Steps } from "../net/pace.js";
import type { FieldProto, FileProto, MessageProto } from "./descriptor-proto.js";

/**
 * Marks the proto3 `optional` fields of a file whose maker left the mark out: such a field is the only one of a oneof
 * `_name`, as protoc makes it (https://github.com/protocolbuffers/protobuf/blob/main/docs/implementing_proto3_presence.md).
 */
export function* markOptional({ syntax, messageType }: FileProto): Steps {
  if (syntax === "proto3") for (const message of messageType) yield* markIn(message);
}

function* markIn({ field, oneofDecl, nestedType }: MessageProto): Steps {
  const members: FieldProto[] = [];
  const counts = new Map<number | undefined, number>();
  for (const each of field) {
    yield 0.1;
    if (!Object.hasOwn(each, "oneofIndex") || each.proto3Optional) continue;
    members.push(each);
    counts.set(each.oneofIndex, (counts.get(each.oneofIndex) ?? 0) + 1);
  }
  for (const member of members) {
    yield 0.1;
    const { name, oneofIndex = 0 } = member;
    if (counts.get(oneofIndex) === 1 && oneofDecl[oneofIndex]?.name === `_${name}`)
      member.proto3Optional = true;
  }
  for (const nested of nestedType) yield* markIn(nested);
}
