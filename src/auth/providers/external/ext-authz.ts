import { checkReference } from "../../../config/check.js";
import type { Loaded } from "../../../config/schema.js";
import { choice, mapping, text } from "../../../config/schema.js";
import { Type } from "../../../config/type-builder.js";
import { Cancellation } from "../../../net/cancellation.js";
import { readFields } from "../../../status/details.js";
import { attemptsOf } from "../../../upstream/attempt-spans.js";
import { VARINT } from "../../../wire/wire-type.js";
import { WireWriter } from "../../../wire/writer.js";
import type { Caller } from "../../caller.js";
import type { Provider, ProviderContext, ProviderType } from "../../provider.js";
import { type AccessDecision, decisionFields, describeDecision, externalProvider } from "./decision.js";
import { targetOf } from "./forward-auth.js";

const ExtAuthzSchema = mapping(
  {
    type: choice(["ext_authz"], {
      description: "A gRPC service that decides about each request: `envoy.service.auth.v3.Authorization`.",
    }),
    upstream: text("nonempty", { description: "Name of the upstream." }),
    context: Type.Record(Type.String({ minLength: 1 }), text("any", { description: "Its value." }), {
      default: {},
      propertyNames: { description: "a name that the service knows" },
      description: "`context_extensions` of the request to the service.",
    }),
    ...decisionFields,
  },
  "Whom a gRPC service allows.",
);

type ExtAuthzConfig = Loaded<typeof ExtAuthzSchema>;

export const extAuthz = {
  name: "ext_authz",
  schema: ExtAuthzSchema,
  check: (at, { upstream }, { upstreams }, findings) =>
    checkReference("upstream", [...at, "upstream"], upstream, upstreams, findings),
  describe: config => describeDecision(config),
  create: createExtAuthz,
} as const satisfies ProviderType<ExtAuthzConfig>;

const checkPath = "/envoy.service.auth.v3.Authorization/Check";

function createExtAuthz(
  name: string,
  config: ExtAuthzConfig,
  { metrics, channel, now = Date.now }: ProviderContext,
): Provider {
  const upstream = channel(config.upstream);
  const decide = async (caller: Caller, seen: ReadonlyMap<string, string>): Promise<AccessDecision> => {
    const { status, message } = await upstream.unary({
      path: checkPath,
      request: checkRequest(caller, seen, config.context, now()),
      metadata: [],
      timeout: config.timeout,
      retryable: true,
      cancellation: new Cancellation(),
      trace: attemptsOf(caller.span, checkPath, config.upstream),
    });
    if (message === undefined) throw new Error(`fails: ${status.origin} ${status.code}: ${status.message}`);
    const decision = checkResponse(message);
    if (decision === undefined) throw new Error("responds with bytes that are no CheckResponse");
    return decision;
  };
  return externalProvider(name, config, metrics, decide, () => undefined);
}

type Body = (writer: WireWriter) => void;

function message(body: Body): Uint8Array {
  const writer = new WireWriter();
  body(writer);
  return writer.finish();
}

function part(writer: WireWriter, number: number, body: Body | string): void {
  if (body === "") return;
  writer.field(number, typeof body === "string" ? Buffer.from(body) : message(body));
}

function map(writer: WireWriter, number: number, entries: Iterable<readonly [string, string]>): void {
  for (const [key, value] of entries)
    part(writer, number, entry => {
      part(entry, 1, key);
      part(entry, 2, value);
    });
}

/** A `CheckRequest` of `envoy/service/auth/v3/external_auth.proto`, without a body. */
function checkRequest(
  caller: Caller,
  seen: ReadonlyMap<string, string>,
  context: Readonly<Record<string, string>>,
  time: number,
): Uint8Array {
  const source: Body = peer => {
    const socketAddress: Body = address => part(address, 2, caller.clientAddress);
    part(peer, 1, address => part(address, 1, socketAddress));
    const { names = [], subject = "" } = caller.certificate() ?? {};
    part(
      peer,
      4,
      (names.find(each => each.startsWith("URI:")) ?? names.find(each => each.startsWith("DNS:")))?.slice(
        4,
      ) ?? subject,
    );
  };
  const request: Body = writer => {
    part(writer, 1, timestamp => {
      timestamp.tag(1, VARINT);
      timestamp.varint(BigInt(Math.floor(time / 1000)));
    });
    part(writer, 2, http => {
      part(http, 2, caller.method);
      map(http, 3, seen);
      part(http, 4, targetOf(caller));
      part(http, 5, caller.header("host") ?? "");
      part(http, 6, caller.encrypted ? "https" : "http");
      http.tag(9, VARINT);
      http.varint(-1n);
    });
  };
  return message(writer =>
    part(writer, 1, attributes => {
      part(attributes, 1, source);
      part(attributes, 4, request);
      map(attributes, 10, Object.entries(context));
    }),
  );
}

/** Reads a `CheckResponse`; undefined where the bytes are none. */
function checkResponse(bytes: Uint8Array): AccessDecision | undefined {
  let code = 0;
  let status = 0;
  const allowed = new Map<string, string>();
  const denied = new Map<string, string>();
  const wellFormed = readFields(bytes, (number, value) => {
    if (typeof value === "bigint") return true;
    switch (number) {
      case 1:
        return readNumber(value, found => {
          code = found;
        });
      case 2:
        return readResponse(value, denied, found => {
          status = found;
        });
      case 3:
        return readResponse(value, allowed, () => undefined);
      default:
        return true;
    }
  });
  if (!wellFormed) return undefined;
  if (code === 0) return { allowed: true, headers: allowed };
  return { allowed: false, status: status === 0 ? 403 : status, headers: denied };
}

/** Field 1 of `google.rpc.Status` and of `envoy.type.v3.HttpStatus`: an int32 or an enum. */
function readNumber(bytes: Uint8Array, found: (number: number) => void): boolean {
  return readFields(bytes, (field, value) => {
    if (field === 1 && typeof value === "bigint") found(Number(BigInt.asIntN(32, value)));
    return true;
  });
}

/**
 * Reads a `DeniedHttpResponse`, or an `OkHttpResponse`, which has no status. Of several values of one header the last
 * counts.
 */
function readResponse(
  bytes: Uint8Array,
  headers: Map<string, string>,
  status: (status: number) => void,
): boolean {
  return readFields(bytes, (field, value) => {
    if (typeof value === "bigint") return true;
    if (field === 1) return readNumber(value, status);
    return field !== 2 || readOption(value, headers);
  });
}

/** Reads a `HeaderValueOption`. */
function readOption(bytes: Uint8Array, headers: Map<string, string>): boolean {
  return readFields(bytes, (field, option) => {
    if (field !== 1 || typeof option === "bigint") return true;
    let [name, text] = ["", ""];
    const wellFormed = readFields(option, (part, value) => {
      if (typeof value === "bigint") return true;
      if (part === 1) name = Buffer.from(value).toString();
      // The value as a string, or as bytes.
      if (part === 2 || part === 3) text = Buffer.from(value).toString() || text;
      return true;
    });
    headers.set(name.toLowerCase(), text);
    return wellFormed;
  });
}
