import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/**
 * Messages of one type in which every field has a value that is not its default, messages within being empty. As many
 * as show each member of each oneof.
 */
export function samples(type: DescMessage): Message[] {
  const count = Math.max(1, ...type.oneofs.map(oneof => oneof.fields.length));
  return Array.from({ length: count }, (_, turn) => {
    const message = reflect(type);
    for (const field of type.fields) {
      const rivals = field.oneof?.fields;
      if (rivals === undefined || rivals[turn % rivals.length] === field) fill(message, field);
    }
    return message.message;
  });
}

function fill(message: ReflectMessage, field: DescField): void {
  switch (field.fieldKind) {
    case "list":
      message
        .get(field)
        .add(sampleOf(field.listKind === "scalar" ? field.scalar : (field.enum ?? field.message)));
      break;
    case "map": {
      const value = sampleOf(field.mapKind === "scalar" ? field.scalar : (field.enum ?? field.message));
      message.get(field).set(sampleOf(field.mapKey), value);
      break;
    }
    case "message":
      message.set(field, reflect(field.message));
      break;
    case "enum":
      message.set(field, sampleOf(field.enum));
      break;
    case "scalar":
      message.set(field, sampleOf(field.scalar));
      break;
  }
}

function sampleOf(type: ScalarType | DescEnum | DescMessage): unknown {
  if (typeof type === "object") {
    if (type.kind === "message") return reflect(type);
    return (type.values[1] ?? type.values[0])?.number ?? 0;
  }
  switch (type) {
    case ScalarType.STRING:
      return "a";
    case ScalarType.BYTES:
      return Uint8Array.of(97);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1n;
    default:
      return 1;
  }
}
