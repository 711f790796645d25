import type { Field, MessageType } from "../../descriptors/model.js";
import { LENGTH, tagOf } from "../../wire/wire-type.js";
import { isJsonObject, type JsonObject } from "../json.js";
import { isWellKnown, type OwnWrappers } from "../well-known.js";
import type { BodyTarget } from "./body-tree.js";
import type { Writer } from "./writer.js";

/** The request's own `google.protobuf.FieldMask update_mask` (AIP-134); undefined where it has none. */
export function updateMaskOf(input: MessageType): Field | undefined {
  const field = input.fieldsByName.get("update_mask");
  return field?.message?.fullName === "google.protobuf.FieldMask" && !field.repeated ? field : undefined;
}

/** Of a request's plan. */
interface MaskSource {
  readonly body: BodyTarget;
  readonly variables: readonly (readonly Field[])[];
  readonly codecs: { readonly wrappers: OwnWrappers };
}

/** The paths of the mask: those that the body sets in its field, without those that the URL path binds. */
export function sentPaths(
  { body, variables, codecs }: MaskSource,
  tree: JsonObject,
): readonly string[] | undefined {
  if (body.kind !== "field" || body.field.message === undefined || body.field.repeated) return undefined;
  const value = tree[body.field.jsonName];
  if (value === undefined || !isJsonObject(value)) return undefined;
  const inside = variables.filter(path => path[0] === body.field).map(path => path.slice(1));
  const bound = new Set(inside.map(path => path.map(field => field.name).join(".")));
  return maskPaths(body.field.message, value, codecs.wrappers).filter(path => !bound.has(path));
}

/**
 * The proto field paths that a JSON resource sets, depth first: sub-messages are followed to their leaves, lists,
 * maps and well-known types are leaves. Names that the type does not have are passed over.
 */
function maskPaths(type: MessageType, value: JsonObject, wrappers: OwnWrappers): string[] {
  const paths: string[] = [];
  collect(type, value, "", wrappers, paths);
  return paths;
}

function collect(
  type: MessageType,
  value: JsonObject,
  prefix: string,
  wrappers: OwnWrappers,
  paths: string[],
): void {
  for (const name of Object.keys(value)) {
    const field = type.fieldsByName.get(name);
    if (field === undefined) continue;
    const path = prefix + field.name;
    const child = value[name];
    const followed = field.message !== undefined && !field.repeated && !isWellKnown(field.message, wrappers);
    if (followed && child !== undefined && isJsonObject(child) && Object.keys(child).length > 0) {
      collect(field.message as MessageType, child, `${path}.`, wrappers, paths);
    } else {
      paths.push(path);
    }
  }
}

/** Writes the mask as a field of the request: on the wire, so that any name survives (JSON masks are camelCase). */
export function writeUpdateMask(writer: Writer, field: Field, paths: readonly string[]): void {
  writer.uint32(tagOf(field.number, LENGTH));
  const start = writer.begin();
  for (const path of paths) {
    writer.uint32(tagOf(1, LENGTH));
    writer.string(path);
  }
  writer.end(start);
}
