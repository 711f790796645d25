import { fileURLToPath } from "node:url";
import { createCodecs } from "../../src/codec/codecs.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import type { MessageType, Model } from "../../src/descriptors/model.js";
import { loadUnderTest } from "../descriptor-source.js";

export const folder = fileURLToPath(new URL("protos", import.meta.url));
export const bundle = fileURLToPath(new URL("../../protos", import.meta.url));

export const { model } = await loadUnderTest(folder);

export function typeOf(of: Model, name: string): MessageType {
  const type = of.message(`edge.${name}`);
  if (type === undefined) throw new Error(`no message edge.${name}`);
  return type;
}

/** A message as the gateway would send it to a backend. */
export function encode(type: MessageType, json: unknown, of: Model = model): Uint8Array {
  const policy = {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "json",
    unknownFields: "reject",
    depth: 1000,
  } as const;
  const writer = new Writer();
  createCodecs(of, policy)
    .message(type)
    .encodeText(Buffer.from(JSON.stringify(json)), writer);
  return writer.finish();
}
