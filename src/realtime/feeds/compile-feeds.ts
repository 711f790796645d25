import { exposedServices } from "../../bindings/exposed-services.js";
import { routePolicy } from "../../bindings/policy.js";
import type { Locate } from "../../bindings/rules.js";
import type { BindingSections } from "../../bindings/service-config.js";
import type { Codec, JsonPolicy } from "../../codec/codec.js";
import { createCodecs } from "../../codec/codecs.js";
import { createObject } from "../../codec/json.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import { EMPTY, STRUCT } from "../../codec/well-known.js";
import { type Diagnostic, formatPath } from "../../config/diagnostic.js";
import { nearest } from "../../config/nearest.js";
import { findMethod } from "../../descriptors/find-method.js";
import type { Field, MessageType, MethodType, Model } from "../../descriptors/model.js";
import { rpcProtocol } from "../../upstream/protocols.js";
import type { RealtimeConfig } from "../config.js";
import { parseRoomPattern } from "../rooms/room-pattern.js";
import type { FeedConfig } from "./config.js";

/** How rooms of one entry of `realtime.rooms` are fed. */
export interface FeedPlan {
  readonly upstream: string;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly event: string;
  readonly from: string;
  /** Milliseconds. */
  readonly linger: number;
  /** Plans with the same text open the same streams. */
  readonly signature: string;
  /** The member of messages in JSON that distinguishes them; undefined where none does. */
  readonly cursor: string | undefined;
  /** Whether requests take the cursor of the last message. */
  readonly resumes: boolean;
  readonly output: Codec;
  /**
   * The request for a room.
   * @param parts of its name
   * @param cursor of the last message that was published; undefined: none is known
   * @throws TranscodeError where a part does not fit its field
   */
  request(room: string, parts: ReadonlyMap<string, string>, cursor: string | undefined): Uint8Array;
}

export interface CompiledFeeds {
  /** By the index of the entry in `realtime.rooms`. */
  readonly plans: ReadonlyMap<number, FeedPlan>;
  readonly diagnostics: readonly Diagnostic[];
}

type Report = (severity: Diagnostic["severity"], key: string, message: string, suggestion?: string) => void;

/** Compiles the feeds of rooms with these descriptors. Names of upstreams are checked already. */
export function compileFeeds(
  config: BindingSections,
  rooms: RealtimeConfig["rooms"],
  model: Model,
  locate: Locate,
): CompiledFeeds {
  const diagnostics: Diagnostic[] = [];
  const plans = new Map<number, FeedPlan>();
  if (typeof rooms === "boolean") return { plans, diagnostics };
  rooms.forEach(({ feed, match }, index) => {
    if (feed === undefined) return;
    const pattern = parseRoomPattern(match);
    const parts = typeof pattern === "string" ? [] : pattern.parts;
    const report: Report = (severity, key, message, suggestion) => {
      const path = ["realtime", "rooms", index, "feed", key];
      const where = { position: locate(path), path: formatPath(path) };
      diagnostics.push({ severity, message, ...where, ...(suggestion === undefined ? {} : { suggestion }) });
    };
    const plan = planOf(feed, parts, config, model, report);
    if (plan !== undefined) plans.set(index, plan);
  });
  return { plans, diagnostics };
}

function planOf(
  feed: FeedConfig,
  parts: readonly string[],
  config: BindingSections,
  model: Model,
  report: Report,
): FeedPlan | undefined {
  const upstream = config.upstreams[feed.upstream];
  if (upstream !== undefined && rpcProtocol(upstream.protocol)?.streams !== true)
    report(
      "error",
      "upstream",
      `upstream ${JSON.stringify(feed.upstream)} has protocol ${upstream.protocol}, which has no streams; expected one with protocol grpc`,
    );
  const method = findMethod(feed.method, model, (message, near) => report("error", "method", message, near));
  if (method === undefined) return undefined;
  if (!method.serverStreaming || method.clientStreaming) {
    const found = method.clientStreaming ? "streams from the client" : "is unary";
    report("error", "method", `${feed.method} ${found}; expected a server-streaming method`);
    return undefined;
  }
  const fields = requestFields(method.input, parts, report);
  const cursor = cursorField(feed.cursor, "cursor", method.output, report);
  cursorField(feed.resume_field, "resume_field", method.input, report);
  const json = jsonPolicy(config, method, model);
  const input = createCodecs(model, { ...json, unknownFields: "reject" }).message(method.input);
  return {
    upstream: feed.upstream,
    path: method.path,
    event: feed.event,
    from: feed.from,
    linger: feed.linger,
    signature: JSON.stringify([feed, parts, upstream]),
    cursor: cursor && (json.names === "proto" ? cursor.name : cursor.jsonName),
    resumes: feed.resume_field !== undefined,
    output: createCodecs(model, json).message(method.output),
    request: (room, values, last) => {
      const message = createObject();
      for (const name of fields) {
        const value = name === "room_id" ? room : values.get(name);
        if (value !== undefined) message[name] = value;
      }
      if (feed.resume_field !== undefined && last !== undefined) message[feed.resume_field] = last;
      const writer = new Writer();
      input.encode(message, writer);
      return Uint8Array.from(writer.finish());
    },
  };
}

/** The values of a room that its request has fields for. */
function requestFields(input: MessageType, parts: readonly string[], report: Report): readonly string[] {
  const offered = ["room_id", ...parts];
  if (input.fullName === STRUCT) return offered;
  const fields = offered.flatMap(name => input.fieldsByName.get(name) ?? []);
  for (const field of fields) {
    if (isScalar(field)) continue;
    report(
      "error",
      "method",
      `${input.fullName}.${field.name} cannot take the ${field.name} of a room: it must be a scalar`,
    );
  }
  if (fields.length === 0 && input.fullName !== EMPTY)
    report(
      "warning",
      "method",
      `${input.fullName} has none of the fields ${offered.join(", ")}; the stream of each room has the same request`,
    );
  return fields.map(({ name }) => name);
}

function cursorField(
  name: string | undefined,
  key: string,
  type: MessageType,
  report: Report,
): Field | undefined {
  if (name === undefined) return undefined;
  const field = type.fieldsByName.get(name);
  if (field === undefined) {
    report(
      "error",
      key,
      `${type.fullName} has no field "${name}"`,
      nearest(
        name,
        type.fields.map(each => each.name),
      ),
    );
    return undefined;
  }
  if (!field.repeated && /^(string|[us]?int(32|64)|s?fixed(32|64))$/.test(field.kind)) return field;
  report("error", key, `${type.fullName}.${name} is no string and no integer`);
  return undefined;
}

function isScalar(field: Field): boolean {
  return field.kind !== "message" && !field.repeated;
}

/** As a call of the method over a socket is printed; canonical where its service is not exposed. */
function jsonPolicy(config: BindingSections, method: MethodType, model: Model): JsonPolicy {
  const [, service = ""] = method.path.split("/");
  const exposed = exposedServices(config, model).get(service);
  if (exposed !== undefined) return routePolicy(config, exposed.config, method.name, model).json;
  const { depth } = config.http.limits;
  return {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "json",
    unknownFields: "reject",
    depth,
  };
}
