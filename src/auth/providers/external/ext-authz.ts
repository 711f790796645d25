import Type from "typebox";
import { checkReference } from "../../../config/check.js";
import type { Loaded } from "../../../config/schema.js";
import { choice, mapping, text } from "../../../config/schema.js";
import { Cancellation } from "../../../net/cancellation.js";
import { WireReader } from "../../../wire/reader.js";
import { LENGTH, VARINT } from "../../../wire/wire-type.js";
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
      description: "What the service is told beside the request: `context_extensions`.",
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
    });
    if (message === undefined) throw new Error(`fails: ${status.origin} ${status.code}: ${status.message}`);
    try {
      return checkResponse(message);
    } catch {
      throw new Error("responds with bytes that are no CheckResponse");
    }
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
  writer.tag(number, LENGTH);
  writer.delimited(typeof body === "string" ? Buffer.from(body) : message(body));
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

/** Reads a `CheckResponse`. @throws RangeError where it is none */
function checkResponse(bytes: Uint8Array): AccessDecision {
  let code = 0;
  let status = 0;
  let allowed: ReadonlyMap<string, string> = new Map();
  let denied: ReadonlyMap<string, string> | undefined;
  read(bytes, (reader, number) => {
    if (number === 1)
      read(reader.delimited(), (inner, field) => {
        if (field === 1) code = Number(BigInt.asIntN(32, inner.varint()));
        else inner.skip();
      });
    else if (number === 2) {
      const response = reader.delimited();
      denied = optionsOf(response);
      read(response, (inner, field) => {
        if (field === 1) status = statusOf(inner.delimited());
        else inner.skip();
      });
    } else if (number === 3) allowed = optionsOf(reader.delimited());
    else reader.skip();
  });
  if (code === 0) return { allowed: true, headers: allowed };
  return { allowed: false, status: status === 0 ? 403 : status, headers: denied ?? new Map() };
}

/** `envoy.type.v3.HttpStatus.code`. */
function statusOf(bytes: Uint8Array): number {
  let status = 0;
  read(bytes, (reader, number) => {
    if (number === 1) status = Number(BigInt.asIntN(32, reader.varint()));
    else reader.skip();
  });
  return status;
}

/** Field 2 of both kinds of response: a list of `HeaderValueOption`. Of several values of one name the last counts. */
function optionsOf(bytes: Uint8Array): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  read(bytes, (reader, number) => {
    if (number !== 2) return reader.skip();
    read(reader.delimited(), (option, field) => {
      if (field !== 1) return option.skip();
      let [key, value] = ["", ""];
      read(option.delimited(), (header, at) => {
        if (at === 1) key = header.string();
        else if (at === 2 || at === 3) value = header.string() || value;
        else header.skip();
      });
      headers.set(key.toLowerCase(), value);
    });
  });
  return headers;
}

/** Calls for each field; what it does not read must be skipped. Fields of another wire type than bytes and varints are refused. */
function read(bytes: Uint8Array, field: (reader: WireReader, number: number) => void): void {
  const reader = new WireReader(bytes);
  while (reader.next()) field(reader, reader.number);
}
