import type { LocalRequest } from "../bindings/built-in-route.js";
import { createCodecs } from "../codec/codecs.js";
import { createObject } from "../codec/json.js";
import { setAt } from "../codec/json-to-wire/field-tree.js";
import { resolveParameter } from "../codec/json-to-wire/query.js";
import { leafFromText } from "../codec/json-to-wire/text-value.js";
import { Writer } from "../codec/json-to-wire/writer.js";
import { noWrappers } from "../codec/well-known.js";
import type { Path } from "../config/diagnostic.js";
import type { Field, MessageType } from "../descriptors/model.js";
import { passedTrace } from "../telemetry/traceparent.js";
import type { Metadata } from "../upstream/channel.js";
import type { LiveKitRouteConfig } from "./config.js";
import type { LiveKitParts } from "./parts.js";
import { compileCall } from "./rpc.js";

/**
 * Has a backend decide whether an identity may enter a room.
 * @throws GatewayError where it may not, or where the backend fails
 */
export type Authorize = (room: string, identity: string, request: LocalRequest) => Promise<void>;

/** Undefined, and problems, where the descriptors do not have the method or its fields. */
export function compileAuthorize(
  authorize: NonNullable<LiveKitRouteConfig["authorize"]>,
  at: Path,
  { config, deps, problems }: LiveKitParts,
): Authorize | undefined {
  const { model, channel } = deps;
  const called = compileCall(authorize, config, model, channel, [...at, "method"], problems);
  if (called === undefined) return undefined;
  const { input } = called.method;
  const field = (key: "room_field" | "identity_field"): readonly Field[] | undefined => {
    const found = fieldPath(input, authorize[key]);
    return "path" in found ? found.path : problems.error([...at, key], found.why, found.suggestion);
  };
  const roomPath = field("room_field");
  const identityPath = field("identity_field");
  if (roomPath === undefined || identityPath === undefined) return undefined;
  const codec = createCodecs(model, policy).message(input);
  return (room, identity, request) => {
    const tree = createObject();
    setAt(tree, roomPath, leafFromText(roomPath.at(-1) as Field, room));
    setAt(tree, identityPath, leafFromText(identityPath.at(-1) as Field, identity));
    const writer = new Writer();
    codec.encode(tree, writer);
    return called.call(writer.finish(), callMetadata(request), request.cancellation);
  };
}

const policy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "reject",
  depth: 32,
} as const;

type FieldPath =
  | { readonly path: readonly Field[] }
  | { readonly why: string; readonly suggestion?: string | undefined };

function fieldPath(input: MessageType, name: string): FieldPath {
  const resolution = resolveParameter(input, name, noWrappers);
  if (resolution.kind === "unknown") {
    return { why: `${input.fullName} has no field "${name}"`, suggestion: resolution.suggest() };
  }
  if (resolution.kind === "target") {
    const { path, key } = resolution.target;
    const leaf = path.at(-1) as Field;
    if (leaf.kind === "string" && !leaf.repeated && key === undefined) return { path };
  }
  return { why: `"${name}" of ${input.fullName} is not a single string` };
}

/** The metadata that the backend gets of the request beside its message. */
function callMetadata(request: LocalRequest): Metadata {
  const metadata: [string, string][] = [["x-request-id", request.requestId]];
  const trace = passedTrace(request.header("traceparent"), request.header("tracestate"));
  if (trace !== undefined) {
    metadata.push(["traceparent", trace.traceparent]);
    if (trace.tracestate !== undefined) metadata.push(["tracestate", trace.tracestate]);
  }
  for (const [name, value] of request.identity?.metadata ?? []) metadata.push([name, value]);
  return metadata;
}
