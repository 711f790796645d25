import { type ForwardedName, passes } from "../bindings/forwarded-name.js";
import { asBuffer } from "../net/buffer.js";
import { isHeaderValue } from "../server/response-writer.js";
import type { Metadata } from "../upstream/channel.js";
import type { CallMetadata } from "./protocol.js";

/** Binary values in header fields, in any protocol: base64 without padding, as gRPC and Connect require. */
export function base64(bytes: Uint8Array): string {
  const text = asBuffer(bytes).toString("base64");
  const padding = text.indexOf("=");
  return padding < 0 ? text : text.slice(0, padding);
}

/** The serialized `google.rpc.Status` of a call that has failed; never among the metadata that is declared. */
const statusDetails = "grpc-status-details-bin";

/**
 * Adds metadata to header fields.
 * @param prefix put before each name
 * @param names the names that may pass; left out, all but the status of the call
 */
export function addMetadata(
  fields: [string, string][],
  metadata: Metadata,
  names?: readonly ForwardedName[],
  prefix = "",
): void {
  if (names !== undefined && names.length === 0) return;
  for (const [name, value] of metadata) {
    if (names === undefined ? name === statusDetails : !passes(names, name)) continue;
    const text = typeof value === "string" ? value : base64(value);
    // A backend cannot be trusted to keep to the characters that a header line may have.
    if (isHeaderValue(text)) fields.push([prefix + name, text]);
  }
}

/** The metadata of a failed call that may pass, with the details of its status. */
export function failureMetadata(
  names: readonly ForwardedName[],
  { headers, trailers }: CallMetadata,
): CallMetadata {
  return {
    headers: headers.filter(([name]) => passes(names, name)),
    trailers: trailers.filter(([name]) => name === statusDetails || passes(names, name)),
  };
}
