import type { MessageType, Model } from "../descriptors/model.js";
import { resolveAny } from "./any-text.js";
import { decodeBase64 } from "./base64.js";
import { type Encode, type EncodeNode, halfPair, notObject, tooDeep } from "./encode-step.js";
import { excerpt, TranscodeError } from "./error.js";
import { createObject, isJsonObject, type JsonObject, type JsonValue } from "./json.js";
import { invalid } from "./scalar-value.js";
import { EMPTY, isWellKnown, type OwnWrappers } from "./well-known.js";

/**
 * Encodes `google.protobuf.Any` (`string type_url = 1; bytes value = 2`) from `{"@type": url, ...fields}`, for types
 * with a JSON form of their own from `{"@type": url, "value": json}`, and for types that the model lacks from
 * `{"@type": url, "value": base64}`, which is how they are printed.
 */
export function anyEncoder(
  model: Model,
  ignoreUnknown: boolean,
  wrappers: OwnWrappers,
  nodeOf: (type: MessageType) => EncodeNode,
): Encode {
  return (value, writer, depth) => {
    if (depth <= 0) throw tooDeep();
    if (!isJsonObject(value)) throw notObject(value);
    const typeUrl = value["@type"];
    if (typeUrl === undefined) {
      if (Object.keys(value).length === 0) return;
      throw new TranscodeError("INVALID_VALUE", "@type", 'an Any must name its type in "@type"');
    }
    if (typeof typeUrl !== "string" || !typeUrl.includes("/")) {
      throw invalid('a type URL such as "type.googleapis.com/google.rpc.ErrorInfo"', typeUrl).within("@type");
    }
    writer.uint32(10);
    if (!writer.string(typeUrl)) throw halfPair().within("@type");

    const type = resolveAny(model, typeUrl);
    if (type === undefined) {
      const bytes = opaqueBytes(typeUrl, value);
      if (bytes.length === 0) return;
      writer.uint32(18);
      writer.bytes(bytes);
      return;
    }
    const length = writer.length;
    writer.uint32(18);
    const start = writer.begin();
    if (isWellKnown(type, wrappers)) {
      const inner = onlyValue(type, value, ignoreUnknown);
      try {
        nodeOf(type).encode(inner, writer, depth - 1);
      } catch (error) {
        throw error instanceof TranscodeError ? error.within("value") : error;
      }
    } else {
      nodeOf(type).encode(fieldsOf(type, value), writer, depth);
    }
    if (writer.length === start) writer.truncate(length);
    else writer.end(start);
  };
}

function opaqueBytes(typeUrl: string, value: JsonObject): Uint8Array {
  const text = value.value;
  const bytes = typeof text === "string" && Object.keys(value).length === 2 ? decodeBase64(text) : undefined;
  if (bytes !== undefined) return bytes;
  throw new TranscodeError(
    "INVALID_VALUE",
    "@type",
    `the type ${JSON.stringify(excerpt(typeUrl))} is not known; its bytes would be taken as base64 in "value"`,
  );
}

function onlyValue(type: MessageType, value: JsonObject, ignoreUnknown: boolean): JsonValue {
  for (const name in value) {
    if (name === "@type" || name === "value" || ignoreUnknown) continue;
    const shown = excerpt(name);
    const message = `an Any of ${type.fullName} has the members "@type" and "value" only`;
    throw new TranscodeError("UNKNOWN_FIELD", shown, message);
  }
  const inner = value.value;
  if (inner === undefined) {
    throw new TranscodeError("INVALID_VALUE", "value", `an Any of ${type.fullName} needs the member "value"`);
  }
  return inner;
}

function fieldsOf(type: MessageType, value: JsonObject): JsonObject {
  // Some writers give Empty the form of the well-known types, {"@type": url, "value": {}}.
  const inner = value.value;
  if (type.fullName === EMPTY && inner !== undefined && isJsonObject(inner)) return inner;
  const fields = createObject();
  for (const name in value) if (name !== "@type") fields[name] = value[name]!;
  return fields;
}
