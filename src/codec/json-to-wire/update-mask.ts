import type { Field, MessageType } from "../../descriptors/model.js";
import { isJsonObject, type JsonObject } from "../json.js";
import { isWellKnown, type OwnWrappers } from "../well-known.js";
import { LENGTH } from "../wire-type.js";
import type { Writer } from "./writer.js";

/** The request's own `google.protobuf.FieldMask update_mask` (AIP-134); undefined where it has none. */
export function updateMaskOf(input: MessageType): Field | undefined {
  const field = input.fieldsByName.get("update_mask");
  return field?.message?.fullName === "google.protobuf.FieldMask" && !field.repeated ? field : undefined;
}

/**
 * The proto field paths that a JSON resource sets, depth first: sub-messages are followed to their leaves, lists,
 * maps and well-known types are leaves. Names that the type does not have are passed over.
 */
export function maskPaths(type: MessageType, value: JsonObject, wrappers: OwnWrappers): string[] {
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
  writer.uint32((field.number << 3) | LENGTH);
  const start = writer.begin();
  for (const path of paths) {
    writer.uint32((1 << 3) | LENGTH);
    writer.string(path);
  }
  writer.end(start);
}
