import { join } from "node:path";
import protobuf from "protobufjs";
import type { Identity } from "../../../src/auth/identity.js";
import { parseExpression } from "../../../src/auth/policy/expression-parser.js";
import { compileRule } from "../../../src/auth/policy/rule.js";
import type { Truth } from "../../../src/auth/policy/truth.js";
import type { MessageType, MethodType } from "../../../src/descriptors/model.js";
import { loadUnderTest } from "../../descriptor-source.js";

const folder = import.meta.dirname;

export const { model } = await loadUnderTest(folder);

/** The same types as protobufjs sees them. */
export const reference = new protobuf.Root();
reference.loadSync(join(folder, "guarded.proto"), { keepCase: true });
reference.resolveAll();

export function message(name: string): MessageType {
  return model.message(`guarded.${name}`) as MessageType;
}

export function method(service: string, name: string): MethodType {
  const found = model.services.get(`guarded.${service}`)?.methods.find(each => each.name === name);
  if (found === undefined) throw new Error(`no method ${service}/${name}`);
  return found;
}

/** An Order on the wire. */
export function order(fields: Readonly<Record<string, unknown>>): Uint8Array {
  const type = reference.lookupType("guarded.Order");
  return type.encode(type.fromObject(fields)).finish();
}

export function identity(
  claims: Readonly<Record<string, unknown>> = {},
  more: { readonly subject?: string; readonly scopes?: readonly string[]; readonly provider?: string } = {},
): Identity {
  return {
    provider: more.provider ?? "users",
    subject: more.subject ?? "jdoe",
    scopes: new Set(more.scopes ?? []),
    claims: Object.assign(Object.create(null), claims),
    metadata: [],
    expiresAt: undefined,
  };
}

/** What a rule comes to over an Order, or over a room. */
export function evaluate(
  rule: string,
  known: Identity | undefined,
  fields: Readonly<Record<string, unknown>> | Uint8Array = {},
): Truth {
  const condition = compileRule(parseExpression(rule), { input: message("Order"), room: false });
  const bytes = fields instanceof Uint8Array ? fields : order(fields);
  return condition.test({ identity: known, message: bytes, room: "" });
}
