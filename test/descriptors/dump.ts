import assert from "node:assert/strict";
import { decodeMessage } from "../../src/descriptors/link/option-value.js";
import type {
  EnumType,
  Field,
  FileDescriptor,
  MessageType,
  Model,
  Options,
  ServiceType,
} from "../../src/descriptors/model.js";

/** Everything that a model says of these types and of all services and files, as plain values that can be compared. */
export function dump(model: Model, names: readonly string[]) {
  const types = names.map(name => {
    const message = model.message(name);
    if (message !== undefined) return dumpMessage(message, model);
    const type = model.enum(name);
    if (type !== undefined) return dumpEnum(type, model);
    const extension = model.extensionByName(name);
    assert.ok(extension, name);
    return dumpField(extension, model);
  });
  return {
    files: [...model.files.values()]
      .map(({ name, package: scope, syntax, dependencies }) => ({
        name,
        scope,
        syntax,
        dependencies: [...dependencies],
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    services: [...model.services.values()].map(service => dumpService(service, model)),
    types,
  };
}

interface Described {
  readonly name: string;
  readonly fullName: string;
  readonly file: FileDescriptor;
  readonly comment: string;
  readonly line: number;
  readonly options: Options;
  readonly deprecated: boolean;
}

function element(described: Described, model: Model, kind: string) {
  const { name, fullName, comment, line, deprecated, options } = described;
  const decoded = dumpOptions(options, model, kind);
  return { name, fullName, file: described.file.name, comment, line, deprecated, options: decoded };
}

function dumpOptions({ bytes }: Options, model: Model, kind: string) {
  const type = model.message(`google.protobuf.${kind}Options`);
  assert.ok(type);
  assert.ok(bytes instanceof Uint8Array);
  return decodeMessage(type, bytes, model);
}

export function dumpService(service: ServiceType, model: Model): unknown {
  return {
    ...element(service, model, "Service"),
    methods: service.methods.map(method => ({
      ...element(method, model, "Method"),
      path: method.path,
      input: method.input.fullName,
      output: method.output.fullName,
      client: method.clientStreaming,
      server: method.serverStreaming,
      idempotency: method.idempotency,
    })),
  };
}

export function dumpMessage(message: MessageType, model: Model): unknown {
  return {
    ...element(message, model, "Message"),
    mapEntry: message.mapEntry,
    extendable: message.extendable,
    fields: message.fields.map(field => dumpField(field, model)),
    names: [...message.fieldsByName].map(([name, field]) => `${name}:${field.number}`).sort(),
    numbers: [...message.fieldsByNumber].map(([number, field]) => `${number}:${field.name}`),
    oneofs: message.oneofs.map(({ name, comment, fields, options }) => ({
      name,
      comment,
      options: dumpOptions(options, model, "Oneof"),
      fields: fields.map(each => each.name),
    })),
  };
}

export function dumpField(field: Field, model: Model): unknown {
  const { number, jsonName, kind, repeated, presence, packed, delimited, utf8, defaultText, extension } =
    field;
  return {
    ...element(field, model, "Field"),
    number,
    jsonName,
    kind,
    repeated,
    presence,
    packed,
    delimited,
    utf8,
    defaultText,
    extension,
    message: field.message?.fullName,
    enum: field.enum?.fullName,
    map: field.map && [field.map.key.kind, field.map.value.kind],
    oneof: field.oneof?.name,
    parent: field.parent.fullName,
  };
}

export function dumpEnum(type: EnumType, model: Model): unknown {
  return {
    ...element(type, model, "Enum"),
    closed: type.closed,
    values: type.values.map(value => ({ ...element(value, model, "EnumValue"), number: value.number })),
    byNumber: [...type.valuesByNumber].map(([number, value]) => `${number}:${value.name}`),
    byName: [...type.valuesByName.keys()],
  };
}
