import type { Field } from "../../descriptors/model.js";
import { TranscodeError } from "../error.js";
import { createObject, describeJson, isJsonObject, type JsonObject, type JsonValue } from "../json.js";
import type { Work } from "../work.js";
import { parseJson } from "./parse-json.js";

/** Where the body of a request goes. */
export type BodyTarget =
  | { readonly kind: "none" }
  | { readonly kind: "all" }
  | { readonly kind: "field"; readonly field: Field };

/**
 * The fields that a JSON body sets in the request message.
 * @throws TranscodeError where the body is not JSON, or does not fit its target
 */
export function bodyTree(target: BodyTarget, bytes: Uint8Array, depth: number, work: Work): JsonObject {
  if (target.kind === "field") {
    const name = target.field.jsonName;
    let json: JsonValue;
    try {
      json = parseJson(bytes, { depth, work });
    } catch (error) {
      throw error instanceof TranscodeError ? error.within(name) : error;
    }
    const tree = createObject();
    tree[name] = json;
    return tree;
  }
  const json = parseJson(bytes, { depth, work });
  if (!isJsonObject(json)) {
    const message = `the body must be a JSON object, found ${describeJson(json)}`;
    throw new TranscodeError("INVALID_VALUE", "", message);
  }
  if (target.kind === "none" && Object.keys(json).length > 0) {
    const message = "this route takes no body; send the values in the query";
    throw new TranscodeError("UNEXPECTED_BODY", "", message);
  }
  return json;
}
