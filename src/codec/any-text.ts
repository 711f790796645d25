import type { MessageType, Model } from "../descriptors/model.js";
import type { Decode, DecodeNode } from "./decode-step.js";
import { tooDeep } from "./decode-step.js";
import { TranscodeError } from "./error.js";
import { Reader, truncated } from "./reader.js";
import { stringText } from "./scalar-text.js";
import { isWellKnown, type OwnWrappers } from "./well-known.js";

/**
 * Prints `google.protobuf.Any`. A type that the model lacks, or bytes that are not of the type, degrade to
 * `{"@type": url, "value": base64}`: an opaque detail must not destroy the reply that carries it.
 */
export class AnyPrinter {
  readonly #model: Model;
  readonly #wrappers: OwnWrappers;
  readonly #nodeOf: (type: MessageType) => DecodeNode;

  constructor(model: Model, wrappers: OwnWrappers, nodeOf: (type: MessageType) => DecodeNode) {
    this.#model = model;
    this.#wrappers = wrappers;
    this.#nodeOf = nodeOf;
  }

  /** Decodes the Any message itself: `string type_url = 1; bytes value = 2;`. */
  readonly decode: Decode = (reader, end, depth) => {
    if (depth <= 0) throw tooDeep();
    let url = '""';
    let start = end;
    let stop = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 10) {
        url = stringText(reader);
      } else if (tag === 18) {
        stop = reader.span();
        start = reader.pos;
        reader.pos = stop;
      } else {
        reader.skip(tag, depth);
      }
    }
    if (reader.pos !== end) throw truncated();
    if (url === '""' && start === stop) return "{}";
    const text = this.print(JSON.parse(url) as string, reader.bytes.subarray(start, stop), depth);
    reader.pos = end;
    return text;
  };

  /**
   * Never throws for what `value` may hold.
   * @param depth levels of JSON that may still open, the Any's own object included
   */
  print(typeUrl: string, value: Uint8Array, depth: number): string {
    const head = `{"@type":${JSON.stringify(typeUrl)}`;
    const type = resolveAny(this.#model, typeUrl);
    if (type !== undefined) {
      try {
        const isBare = isWellKnown(type, this.#wrappers);
        const text = this.#nodeOf(type).decode(new Reader(value), value.length, isBare ? depth - 1 : depth);
        if (isBare) return `${head},"value":${text}}`;
        return text === "{}" ? `${head}}` : `${head},${text.slice(1)}`;
      } catch (error) {
        if (!(error instanceof TranscodeError)) throw error;
      }
    }
    const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
    return `${head},"value":"${base64}"}`;
  }
}

/** The type that a type URL names: what follows its last slash. */
export function resolveAny(model: Model, typeUrl: string): MessageType | undefined {
  return model.message(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
}
