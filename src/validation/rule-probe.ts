import type { DescField, DescMessage, DescOneof, FileRegistry } from "@bufbuild/protobuf";
import { CompilationError, createValidator, type Validator } from "@bufbuild/protovalidate";
import type { Diagnostic } from "../config/diagnostic.js";
import type { Model } from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";
import { samples } from "./sample.js";

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

/** What planning a type's rules, or trying them, costs. */
export function unitsOf({ fields }: DescMessage): number {
  return 20 + 5 * fields.length;
}

/** What has options, and with them maybe rules. */
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
const hopeless =
  /^(unbound function|unresolved attribute|error parsing regexp|expression .* outputs|unexpected error)/;

function diagnosticOf(failure: Error, type: DescMessage, bearer: Bearer, model: Model): Diagnostic {
  const element = model.message(type.typeName);
  const field = bearer.kind === "field" ? element?.fieldsByNumber.get(bearer.number) : undefined;
  const line = field?.line ?? element?.line ?? 0;
  const fatal = failure instanceof CompilationError || hopeless.test(failure.message);
  return {
    severity: fatal ? "error" : "warning",
    message: fatal
      ? `a buf.validate rule cannot be used: ${failure.message}`
      : `a buf.validate rule fails on a sample value, and gives status 500 where it does on a request: ${failure.message}`,
    path: bearer.kind === "message" ? type.typeName : `${type.typeName}.${bearer.name}`,
    ...(line > 0 && { position: { file: element?.file.name ?? "", line, column: 0 } }),
  };
}
