import type { Field, MessageType } from "../../descriptors/model.js";
import { whenReady } from "../../net/when-ready.js";
import type { Codec } from "../codec.js";
import type { Codecs } from "../codecs.js";
import { isHttpBody, readHttpBody } from "../http-body.js";
import { EMPTY } from "../well-known.js";

export interface ResponseBody {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** Turns the bytes of a response message into the body of an HTTP response. Built once a binding, immutable. */
export interface ResponsePlan {
  /** True for `google.protobuf.Empty`, for which a policy may send 204. */
  readonly empty: boolean;
  /** True for `google.api.HttpBody`: the body is its bytes, not JSON. */
  readonly raw: boolean;
  /** @throws TranscodeError where the bytes are not a message of the declared type */
  decode(message: Uint8Array): ResponseBody;
  /** The same; a promise where the message is large, see `Codec.decodeInTurns`. */
  decodeInTurns(message: Uint8Array): ResponseBody | Promise<ResponseBody>;
}

/** @param field the `response_body` field; undefined for the whole message */
export function responsePlan(output: MessageType, field: Field | undefined, codecs: Codecs): ResponsePlan {
  if (isHttpBody(output) && field === undefined) {
    return rawPlan(readHttpBody);
  }
  if (field !== undefined && !field.repeated && isHttpBody(field.message)) {
    return rawPlan(message => readHttpBody(message, field.number));
  }
  let compiled: Pick<Codec, "decode" | "decodeInTurns"> | undefined;
  // Compiled at the first response: most routes of a large API are never called.
  const codec = (): Pick<Codec, "decode" | "decodeInTurns"> => {
    compiled ??= field === undefined ? codecs.message(output) : codecs.field(field);
    return compiled;
  };
  return {
    empty: field === undefined && output.fullName === EMPTY,
    raw: false,
    decode: message => jsonBody(codec().decode(message)),
    decodeInTurns: message => {
      const text = codec().decodeInTurns(message);
      return whenReady(text, jsonBody);
    },
  };
}

function rawPlan(decode: (message: Uint8Array) => ResponseBody): ResponsePlan {
  return { empty: false, raw: true, decode, decodeInTurns: decode };
}

function jsonBody(body: string): ResponseBody {
  return { contentType: "application/json", body };
}
