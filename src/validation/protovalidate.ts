import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import type { Diagnostic } from "../config/diagnostic.js";
import type { MessageType, Model } from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";
import type { FieldViolation } from "../status/failure.js";
import { probeRules, unitsOf } from "./rule-probe.js";
import type { Validate } from "./validator.js";

/** Violations that one response names at most. */
const maxViolations = 100;

/**
 * Bytes up to which a message is searched for all of its violations. In a larger one the first is named alone: a
 * megabyte can hold a million, and finding them would hold up every other request.
 */
const thoroughLimit = 4096;

/** Our encoder bounds how deep messages are; `Struct` takes three levels for one of JSON. */
const readOptions = { readUnknownFields: false, recursionLimit: 10_000 };

const bytesPerUnit = 20;

/** @param types each with rules within its reach */
export function* enforceRules(
  model: Model,
  types: readonly MessageType[],
): Steps<{ byType: ReadonlyMap<MessageType, Validate>; diagnostics: readonly Diagnostic[] }> {
  const registry = yield* registryOf(model, types);
  const first = createValidator({ registry, failFast: true });
  const all = createValidator({ registry });
  // The registry holds the file of each type.
  const schemas = types.map(type => registry.getMessage(type.fullName) as DescMessage);
  const diagnostics = yield* probeRules(schemas, registry, all, model);
  const byType = new Map<MessageType, Validate>();
  if (diagnostics.some(each => each.severity === "error")) return { byType, diagnostics };
  for (const [index, schema] of schemas.entries()) {
    // Plans it, so that no request has to wait for that.
    first.validate(schema, create(schema));
    byType.set(types[index] as MessageType, validateWith(schema, first, all));
    yield unitsOf(schema);
  }
  return { byType, diagnostics };
}

/** The types' files and all that they import, as the library knows them. */
function* registryOf(model: Model, types: readonly MessageType[]): Steps<FileRegistry> {
  const names = new Set(types.map(type => type.file.name));
  for (const name of names) {
    for (const each of model.files.get(name)?.dependencies ?? []) names.add(each);
    yield 1;
  }
  const files = new Map<string, DescFile>();
  const registries: FileRegistry[] = [];
  for (const bytes of yield* model.serialize(names)) {
    const proto = fromBinary(FileDescriptorProtoSchema, bytes);
    delete proto.sourceCodeInfo;
    // Dependencies come first.
    const registry = createFileRegistry(proto, name => files.get(name));
    for (const file of registry.files) files.set(file.proto.name, file);
    registries.push(registry);
    yield bytes.length / bytesPerUnit;
  }
  return createFileRegistry(...registries);
}

/** Stops at the first violation, so that a bound such as `max_items` also bounds the work. */
function validateWith(schema: DescMessage, first: Validator, all: Validator): Validate {
  return bytes => {
    const message = fromBinary(schema, bytes, readOptions);
    const result = first.validate(schema, message);
    if (result.kind === "valid") return none;
    if (result.kind === "error")
      throw new Error(`a rule of ${schema.typeName} failed: ${result.error.message}`);
    const thorough = bytes.length > thoroughLimit ? result : all.validate(schema, message);
    const violations: readonly Violation[] = thorough.violations ?? result.violations;
    return violations.slice(0, maxViolations).map(fieldViolation);
  };
}

const none: readonly never[] = [];

/** Keys of maps are part of a path, and texts of rules may hold values: neither may make a response large. */
const maxText = 512;

/** The path with the fields' proto names, `items[2].labels["a"]`; empty for a rule of the whole message. */
function fieldViolation({ field, message, ruleId, forKey }: Violation): FieldViolation {
  return {
    field: shortened(pathToString(field)),
    description: shortened(forKey ? `key: ${message}` : message),
    reason: reasonOf(ruleId),
  };
}

/** `string.min_len` as `google.rpc.BadRequest.FieldViolation.reason` has it: STRING_MIN_LEN. */
function reasonOf(ruleId: string): string {
  const words = ruleId.toUpperCase().match(/[A-Z0-9]+/g) ?? [];
  return words.join("_").slice(0, 63);
}

function shortened(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText - 3)}...`;
}
