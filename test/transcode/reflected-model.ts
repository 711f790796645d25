import protobuf from "protobufjs";
import type {
  EnumType,
  EnumValue,
  Field,
  FileDescriptor,
  MessageType,
  Model,
  Oneof,
  Options,
} from "../../src/descriptors/model.js";

const UNPACKABLE = new Set(["string", "bytes", "message"]);

/** A Model over protobufjs reflection, enough for codecs: no services, comments or options. */
export function reflectedModel(root: protobuf.Root): Model {
  root.resolveAll();
  const messages = new Map<string, MessageType>();
  const enums = new Map<string, EnumType>();
  const extensions = new Map<string, Field>();
  const file: FileDescriptor = {
    name: "test.proto",
    package: "",
    syntax: "proto3",
    dependencies: [],
    origin: "test",
  };
  const options: Options = { bytes: new Uint8Array(), get: () => undefined };
  const element = (name: string, fullName: string) => ({
    name,
    fullName: fullName.replace(/^\./, ""),
    file,
    comment: "",
    line: 0,
    options,
    deprecated: false,
  });

  function enumOf(type: protobuf.Enum): EnumType {
    const known = enums.get(type.fullName);
    if (known !== undefined) return known;
    const values: EnumValue[] = Object.entries(type.values).map(([name, number]) => ({
      ...element(name, `${type.fullName}.${name}`),
      number,
    }));
    const valuesByNumber = new Map<number, EnumValue>();
    for (const value of values)
      if (!valuesByNumber.has(value.number)) valuesByNumber.set(value.number, value);
    const made: EnumType = {
      kind: "enum",
      ...element(type.name, type.fullName),
      values,
      valuesByName: new Map(values.map(value => [value.name, value])),
      valuesByNumber,
      closed: features(type).enum_type === "CLOSED",
    };
    enums.set(type.fullName, made);
    return made;
  }

  function messageOf(type: protobuf.Type): MessageType {
    const known = messages.get(type.fullName);
    if (known !== undefined) return known;
    const fields: Field[] = [];
    const fieldsByName = new Map<string, Field>();
    const oneofs: Oneof[] = [];
    const made: MessageType = {
      kind: "message",
      ...element(type.name, type.fullName),
      fields,
      fieldsByName,
      fieldsByNumber: new Map(),
      oneofs,
      mapEntry: false,
      extendable: type.extensions !== undefined,
    };
    messages.set(type.fullName, made);
    for (const group of type.oneofsArray) {
      if (!group.isProto3Optional) oneofs.push({ name: group.name, comment: "", fields: [] });
    }
    for (const source of type.fieldsArray) {
      const extended = source.declaringField;
      const field = fieldOf(source, made, extended ?? source);
      if (extended !== null && extended !== undefined) {
        extensions.set(field.fullName, field);
        continue;
      }
      fields.push(field);
      fieldsByName.set(field.name, field).set(field.jsonName, field);
      (made.fieldsByNumber as Map<number, Field>).set(field.number, field);
      (field.oneof?.fields as Field[] | undefined)?.push(field);
    }
    return made;
  }

  function fieldOf(source: protobuf.Field, parent: MessageType, declared: protobuf.Field): Field {
    source.resolve();
    const extension = declared !== source;
    const name = declared.protoName ?? declared.name;
    const fullName = declared.fullName.replace(/^\./, "").replace(/[^.]+$/, name);
    const settings = features(source);
    const message = source.resolvedType instanceof protobuf.Type ? messageOf(source.resolvedType) : undefined;
    const enumeration =
      source.resolvedType instanceof protobuf.Enum ? enumOf(source.resolvedType) : undefined;
    const base = {
      ...element(name, fullName),
      number: source.id,
      jsonName: extension ? `[${fullName}]` : (declared.jsonName ?? name),
      kind: (message !== undefined
        ? "message"
        : enumeration !== undefined
          ? "enum"
          : source.type) as Field["kind"],
      message,
      enum: enumeration,
      repeated: false,
      map: undefined,
      presence: source.required
        ? ("required" as const)
        : settings.field_presence === "IMPLICIT" && !source.options?.proto3_optional && message === undefined
          ? ("implicit" as const)
          : ("explicit" as const),
      packed: false,
      delimited: source.delimited,
      utf8: settings.utf8_validation !== "NONE",
      oneof: parent.oneofs.find(group => group.name === source.partOf?.name),
      defaultText: undefined,
      parent,
      extension,
    };
    if (source.map) {
      const key = {
        ...base,
        number: 1,
        name: "key",
        kind: (source as unknown as protobuf.MapField).keyType as Field["kind"],
        message: undefined,
        enum: undefined,
      };
      return {
        ...base,
        kind: "message",
        enum: undefined,
        repeated: true,
        presence: "implicit",
        map: { key, value: { ...base, name: "value", number: 2 } },
      };
    }
    if (source.repeated) {
      return {
        ...base,
        repeated: true,
        presence: "implicit",
        packed: source.packed && !UNPACKABLE.has(base.kind),
      };
    }
    return base;
  }

  const visit = (space: protobuf.NamespaceBase) => {
    for (const nested of space.nestedArray) {
      if (nested instanceof protobuf.Type) messageOf(nested);
      if (nested instanceof protobuf.Enum) enumOf(nested);
      if (nested instanceof protobuf.Namespace) visit(nested);
    }
  };
  visit(root);

  return {
    files: new Map([[file.name, file]]),
    services: new Map(),
    message: name => messages.get(`.${name}`),
    enum: name => enums.get(`.${name}`),
    extension: (extendee, number) =>
      [...extensions.values()].find(field => field.parent.fullName === extendee && field.number === number),
    extensionByName: name => extensions.get(name),
    descriptorSet: () => new Uint8Array(),
  };
}

function features(element: protobuf.ReflectionObject): Record<string, string> {
  return (element as unknown as { _features: Record<string, string> })._features;
}
