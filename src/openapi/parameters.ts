import type { Route } from "../bindings/route.js";
import { isTextBindable } from "../codec/json-to-wire/text-value.js";
import { isWellKnown, noWrappers, VALUE, wrappedField } from "../codec/well-known.js";
import type { Field, MessageType } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { describeComment } from "./comment.js";
import { enumText, someOfEnum } from "./enums.js";
import { fieldExample, noExample } from "./examples.js";
import { nameOf } from "./member-names.js";
import { type ApiPath, type PathParameter, variableText } from "./path.js";
import { constraintOf } from "./rules.js";
import { isRequired, type SchemaPolicy, type Schemas } from "./schemas.js";

/** A Parameter Object of OpenAPI. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description?: string;
  readonly required?: boolean;
  readonly deprecated?: boolean;
  readonly style?: "deepObject";
  readonly explode?: boolean;
  readonly schema: JsonSchema;
  readonly example?: unknown;
}

/** Parameters of one operation. A query can name fields of fields without end. */
const maxParameters = 300;
const maxLevels = 6;

/** @param names of the parameters in the path of the operation */
export function pathParameters(
  route: Route,
  path: ApiPath,
  names: readonly string[],
  schemas: Schemas,
): Parameter[] {
  const named = path.parameters.map((each, index) => ({ ...each, name: names[index] as string }));
  return named.map(parameter => pathParameter(route, parameter, named, schemas));
}

function pathParameter(
  { template, variables, policy }: Route,
  { name, variable, whole }: PathParameter,
  all: readonly PathParameter[],
  schemas: Schemas,
): Parameter {
  const base = { name, in: "path", required: true } as const;
  if (variable === undefined)
    return { ...base, description: "Any text.", schema: { type: "string", minLength: 1 } };
  const fields = variables[template.variables.indexOf(variable)] as readonly Field[];
  const leaf = fields.at(-1) as Field;
  const comment = describeComment(leaf.comment);
  if (whole) {
    const renamed = name === variable.path.join(".") ? "" : `The field \`${variable.path.join(".")}\`.`;
    const description = [comment, renamed].filter(text => text !== "").join("\n\n");
    const example = fieldExample(leaf, "read", policy);
    return {
      ...base,
      ...(description === "" ? {} : { description }),
      ...(leaf.deprecated ? { deprecated: true } : {}),
      schema: notEmpty(ruledText(leaf, policy, schemas)),
      ...(example === noExample ? {} : { example }),
    };
  }
  const part = `A part of the field \`${variable.path.join(".")}\`, which is \`${variableText(template, variable, all)}\`.`;
  const description = comment === "" ? part : `${comment}\n\n${part}`;
  return { ...base, description, schema: { type: "string", minLength: 1 } };
}

/** A segment is never empty. */
function notEmpty(schema: JsonSchema): JsonSchema {
  return schema.type === "string" && schema.enum === undefined ? { ...schema, minLength: 1 } : schema;
}

export interface QueryParameters {
  readonly parameters: readonly Parameter[];
  /** The names of those of which at most one may be given, each list a oneof. */
  readonly alternatives: readonly (readonly string[])[];
  /** Other accepted parameters of the query, for people; empty where there are none. */
  readonly beside: readonly string[];
}

/** The parameters of the query: every field that neither path nor body sets. */
export function queryParameters(route: Route, schemas: Schemas): QueryParameters {
  const { policy, rpc, variables, body } = route;
  const { json } = policy;
  const wrappers = json.wrappers ?? noWrappers;
  const parameters: Parameter[] = [];
  const beside: string[] = [];
  const members = new Map<string, string[]>();
  if (body.kind === "all") return { parameters, alternatives: [], beside };
  const bound = (path: readonly Field[]): boolean =>
    variables.some(
      each => each.length === path.length && each.every((field, index) => field === path[index]),
    );
  const visit = (type: MessageType, above: readonly Field[], types: readonly MessageType[]): void => {
    for (const field of type.fields) {
      if (parameters.length >= maxParameters) return;
      const path = [...above, field];
      if (bound(path) || (above.length === 0 && body.kind === "field" && body.field === field)) continue;
      const name = path.map(each => nameOf(each, json)).join(".");
      const before = parameters.length;
      if (field.map !== undefined) {
        if (!isTextBindable(field.map.value, wrappers)) continue;
        const schema: JsonSchema = {
          type: "object",
          additionalProperties: textSchema(field.map.value, policy, schemas),
        };
        parameters.push({ ...parameter(name, field, schema), style: "deepObject", explode: true });
      } else if (isTextBindable(field, wrappers)) {
        const schema = ruledText(field, policy, schemas);
        const required = above.length === 0 && isRequired(field, policy) ? { required: true } : {};
        const example = fieldExample(field, "read", policy);
        const shown = "required" in required && example !== noExample ? { example } : {};
        parameters.push({ ...parameter(name, field, schema), ...required, ...shown });
      } else if (!field.repeated && field.message !== undefined && !isWellKnown(field.message, wrappers)) {
        if (types.includes(field.message) || types.length >= maxLevels)
          beside.push(`\`${name}.…\`: the fields of ${field.message.fullName}, to any depth`);
        else visit(field.message, path, [...types, field.message]);
      }
      if (field.oneof === undefined) continue;
      const key = [...above.map(each => each.name), field.oneof.name].join(".");
      const names = parameters.slice(before).map(each => each.name);
      members.set(key, [...(members.get(key) ?? []), ...names]);
    }
  };
  visit(rpc.input, [], [rpc.input]);
  const alternatives = [...members.values()].filter(names => names.length > 1);
  if (parameters.length >= maxParameters) beside.push(`further fields of ${rpc.input.fullName}`);
  return { parameters, alternatives, beside };
}

function parameter(name: string, field: Field, schema: JsonSchema): Parameter {
  const comment = describeComment(field.comment);
  const others = field.oneof?.fields.filter(each => each !== field) ?? [];
  const exclusion =
    others.length === 0 ? "" : `Not together with ${others.map(each => `\`${each.jsonName}\``).join(", ")}.`;
  const description = [comment, exclusion].filter(text => text !== "").join("\n\n");
  return {
    name,
    in: "query",
    ...(description === "" ? {} : { description }),
    ...(field.deprecated ? { deprecated: true } : {}),
    schema,
  };
}

/** The schema of a field in a path or a query, with the constraints of the rules. */
function ruledText(field: Field, policy: SchemaPolicy, schemas: Schemas): JsonSchema {
  const text = textSchema(field, policy, schemas);
  const rules = policy.validate ? constraintOf(field) : undefined;
  const { "x-numbers": numbers, ...keywords } = rules?.keywords ?? {};
  const one = Array.isArray(numbers) && field.enum !== undefined ? someOfEnum(field.enum, numbers) : text;
  if (!field.repeated) return { ...one, ...keywords };
  return { type: "array", items: { ...text, ...rules?.items }, ...keywords };
}

/** The schema of a field that takes text in a path or a query, or of one element of it. */
function textSchema(field: Field, policy: SchemaPolicy, schemas: Schemas): JsonSchema {
  switch (field.kind) {
    case "int64":
    case "sint64":
    case "sfixed64":
    case "uint64":
    case "fixed64":
    case "int32":
    case "sint32":
    case "sfixed32":
    case "uint32":
    case "fixed32":
    case "double":
    case "float":
    case "bool":
    case "bytes":
    case "string":
      return schemas.element(field, "read", policy);
    case "enum":
      return field.enum === undefined ? {} : enumText(field.enum);
    case "message": {
      const type = field.message as MessageType;
      if (type.fullName === VALUE) return { type: "string" };
      const wrapped = wrappedField(type);
      return wrapped !== undefined && isWellKnown(type, policy.json.wrappers ?? noWrappers)
        ? textSchema(wrapped, policy, schemas)
        : schemas.element(field, "read", policy);
    }
  }
}
