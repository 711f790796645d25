import type { JsonPolicy } from "../../../codec/codec.js";
import { createCodecs } from "../../../codec/codecs.js";
import { Writer } from "../../../codec/json-to-wire/writer.js";
import { nearest } from "../../../config/nearest.js";
import type { Loaded } from "../../../config/schema.js";
import { choice, duration, listOf, mapping, text } from "../../../config/schema.js";
import { Type } from "../../../config/type-builder.js";
import { findUnaryMethod } from "../../../descriptors/find-method.js";
import type { Field, MessageType, MethodType, Model } from "../../../descriptors/model.js";
import { LENGTH, tagOf } from "../../../wire/wire-type.js";
import { bareClaims, type Claims, isRecord, scopesOf, subjectOf } from "../../claims.js";
import { cacheSize, claimsToMetadata, placement } from "../fields.js";

export const RpcSchema = mapping(
  {
    type: choice(["rpc"], { description: "A method of a backend." }),
    upstream: text("nonempty", { description: "Name of the upstream." }),
    method: text("rpcMethod", { description: "The unary method to call, `package.Service/Method`." }),
    token_field: text("field", { description: "String field of its request that takes the credential." }),
    subject_field: Type.Optional(
      text("field", {
        description: "Field of its response with the subject. Left out: sub, subject or user_id.",
      }),
    ),
    scopes_field: Type.Optional(
      text("field", {
        description: "Field of its response with the scopes. Left out: scope or scopes, if there is one.",
      }),
    ),
    claims_field: Type.Optional(
      text("field", {
        description:
          "Message, map or Struct field of its response with the claims. Left out: the whole response, by JSON names.",
      }),
    ),
    timeout: Type.Optional(duration({ description: "Deadline of the call, in place of the upstream's." })),
    cache: duration(
      {
        description: "How long a response is reused for the same credential; 0s: not at all.",
        default: "30s",
      },
      0,
    ),
    cache_size: cacheSize,
    metadata: listOf(text("header", { description: "A header name, in any case." }), {
      description:
        "Request headers that are sent along as metadata. They are not part of the key of reused responses.",
      default: [],
    }),
    ...placement,
    claims_to_metadata: claimsToMetadata,
  },
  "Whom a method of a backend accepts.",
);

export type RpcAuthConfig = Loaded<typeof RpcSchema>;

/** How a method is called with a token, and how its response is read. */
export interface RpcPlan {
  readonly method: MethodType;
  request(token: string): Uint8Array;
  /** @throws CredentialRefusal where it names no subject; TranscodeError where the bytes are no response of the method */
  response(message: Uint8Array): { subject: string; scopes: ReadonlySet<string>; claims: Claims };
}

/** A provider that does not fit the descriptors, and the key with the error. */
export class PlanError extends Error {
  override readonly name = "PlanError";
  constructor(
    readonly key: "method" | "token_field" | "subject_field" | "scopes_field" | "claims_field",
    message: string,
    readonly suggestion?: string | undefined,
  ) {
    super(message);
  }
}

const policy: JsonPolicy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "ignore",
  depth: 50,
};

/** @throws PlanError */
export function rpcPlan(config: RpcAuthConfig, model: Model): RpcPlan {
  const method = methodOf(config.method, model);
  const { input, output } = method;
  const token = fieldOf(input, config.token_field, "token_field");
  if (token.repeated || (token.kind !== "string" && token.kind !== "bytes")) {
    throw new PlanError("token_field", `"${token.name}" is ${kindOf(token)}; expected a string or bytes`);
  }
  const subject = subjectField(output, config.subject_field);
  const scopes = scopesField(output, config.scopes_field);
  const nested = config.claims_field === undefined ? undefined : claimsField(output, config.claims_field);
  const codec = createCodecs(model, policy).message(output);
  return {
    method,
    request: text => {
      const writer = new Writer(text.length + 16);
      writer.uint32(tagOf(token.number, LENGTH));
      writer.bytes(Buffer.from(text));
      return writer.finish();
    },
    response: message => {
      const response = bareClaims(JSON.parse(codec.decode(message)) as Record<string, unknown>);
      const value = response[subject.jsonName];
      return {
        subject: subjectOf(typeof value === "number" ? String(value) : value, subject.name),
        scopes: scopesOf(scopes === undefined ? undefined : response[scopes.jsonName]),
        claims: nested === undefined ? response : nestedClaims(response[nested.jsonName]),
      };
    },
  };
}

/** A Struct, map or message; a field that is not there makes no claims. */
function nestedClaims(value: unknown): Claims {
  return bareClaims(isRecord(value) ? value : {});
}

function methodOf(path: string, model: Model): MethodType {
  const method = findUnaryMethod(path, model, (message, near) => {
    throw new PlanError("method", message, near);
  });
  // An unknown method was reported by an error.
  return method as MethodType;
}

function fieldOf(message: MessageType, name: string, key: PlanError["key"]): Field {
  const field = message.fieldsByName.get(name);
  if (field !== undefined) return field;
  const names = message.fields.map(each => each.name);
  throw new PlanError(key, `${message.fullName} has no field "${name}"`, nearest(name, names));
}

const integers = /^(u?int|sint|s?fixed)(32|64)$/;
const subjectNames: readonly string[] = ["sub", "subject", "userid"];

function isSubject(field: Field): boolean {
  return !field.repeated && (field.kind === "string" || integers.test(field.kind));
}

function subjectField(output: MessageType, name: string | undefined): Field {
  if (name === undefined) {
    const plain = (field: Field): string => field.name.replaceAll("_", "").toLowerCase();
    for (const subjectName of subjectNames) {
      const found = output.fields.find(field => plain(field) === subjectName && isSubject(field));
      if (found !== undefined) return found;
    }
    throw new PlanError(
      "method",
      `${output.fullName} has no field sub, subject or user_id; name one in subject_field`,
    );
  }
  const field = fieldOf(output, name, "subject_field");
  if (isSubject(field)) return field;
  throw new PlanError("subject_field", `"${name}" is ${kindOf(field)}; expected a string or an integer`);
}

function scopesField(output: MessageType, name: string | undefined): Field | undefined {
  if (name === undefined) {
    return output.fields.find(
      ({ name, kind }) => (name === "scope" || name === "scopes") && kind === "string",
    );
  }
  const field = fieldOf(output, name, "scopes_field");
  if (field.kind === "string" || field.kind === "enum") return field;
  throw new PlanError(
    "scopes_field",
    `"${name}" is ${kindOf(field)}; expected a string or a list of strings`,
  );
}

function claimsField(output: MessageType, name: string): Field {
  const field = fieldOf(output, name, "claims_field");
  if (field.kind === "message" && (!field.repeated || field.map !== undefined)) return field;
  throw new PlanError("claims_field", `"${name}" is ${kindOf(field)}; expected a message or a map`);
}

function kindOf(field: Field): string {
  if (field.map !== undefined) return "a map";
  const kind = field.message?.fullName ?? field.enum?.fullName ?? field.kind;
  return field.repeated ? `a list of ${kind}` : `of type ${kind}`;
}
