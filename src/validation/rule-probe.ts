import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  type FileRegistry,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { CompilationError, createValidator, type Validator } from "@bufbuild/protovalidate";
import type { Diagnostic } from "../config/diagnostic.js";
import type { Model } from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";

/**
 * Finds rules that do not work before a request does. The library compiles a rule when it is first evaluated, so that
 * each of `types` and each type within them is validated once with all of its fields set.
 */
export function* probeRules(
  types: readonly DescMessage[],
  registry: FileRegistry,
  validator: Validator,
  model: Model,
): Steps<Diagnostic[]> {
  const reached = new Set(types);
  for (const type of reached) {
    for (const { message } of type.fields) if (message) reached.add(message);
    yield 1 + type.fields.length / 10;
  }
  for (const type of reached) {
    yield unitsOf(type);
    if (failureOf(validator, type) !== undefined) return yield* blame([...reached], registry, model);
  }
  return [];
}

/** Units for planning a type's rules, or trying them. */
export function unitsOf({ fields }: DescMessage): number {
  return 20 + 5 * fields.length;
}

/** A descriptor with options, and maybe rules in them. */
type Bearer = DescMessage | DescOneof | DescField;

/** Tries each bearer of rules while no other has any, since the first rule that fails hides those behind it. */
function* blame(types: readonly DescMessage[], registry: FileRegistry, model: Model): Steps<Diagnostic[]> {
  const bearers = types.flatMap(type =>
    [type, ...type.oneofs, ...type.fields].flatMap((bearer: Bearer) => {
      const { options } = bearer.proto;
      return options === undefined ? [] : [{ type, bearer, options }];
    }),
  );
  for (const { bearer } of bearers) delete bearer.proto.options;
  const diagnostics: Diagnostic[] = [];
  for (const { type, bearer, options } of bearers) {
    bearer.proto.options = options;
    const failure = failureOf(createValidator({ registry }), type);
    if (failure !== undefined) diagnostics.push(diagnosticOf(failure, type, bearer, model));
    delete bearer.proto.options;
    yield unitsOf(type);
  }
  for (const { bearer, options } of bearers) bearer.proto.options = options;
  return diagnostics;
}

function failureOf(validator: Validator, type: DescMessage): Error | undefined {
  for (const message of samples(type)) {
    const result = validator.validate(type, message);
    if (result.kind === "error") return result.error;
  }
  return undefined;
}

/** Failures of evaluation that no value of a field could avoid. */
const unusableRule =
  /^(unbound function|unresolved attribute|error parsing regexp|expression .* outputs|unexpected error)/;

function diagnosticOf(failure: Error, type: DescMessage, bearer: Bearer, model: Model): Diagnostic {
  const element = model.message(type.typeName);
  const field = bearer.kind === "field" ? element?.fieldsByNumber.get(bearer.number) : undefined;
  const line = field?.line ?? element?.line ?? 0;
  const fatal = failure instanceof CompilationError || unusableRule.test(failure.message);
  return {
    severity: fatal ? "error" : "warning",
    message: fatal
      ? `a buf.validate rule cannot be used: ${failure.message}`
      : `a buf.validate rule fails on a sample value, and gives status 500 where it does on a request: ${failure.message}`,
    path: bearer.kind === "message" ? type.typeName : `${type.typeName}.${bearer.name}`,
    ...(line > 0 && { position: { file: element?.file.name ?? "", line, column: 0 } }),
  };
}

/**
 * Messages of one type in which every field has a value that is not its default, messages within being empty. As many
 * as show each member of each oneof.
 */
function samples(type: DescMessage): Message[] {
  const count = Math.max(1, ...type.oneofs.map(oneof => oneof.fields.length));
  return Array.from({ length: count }, (_, turn) => {
    const message = reflect(type);
    for (const field of type.fields) {
      const members = field.oneof?.fields;
      if (members === undefined || members[turn % members.length] === field) fill(message, field);
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
