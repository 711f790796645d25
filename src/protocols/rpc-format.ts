import type { ForwardedName } from "../bindings/forwarded-name.js";
import type { Failure } from "../status/failure.js";
import type { Metadata } from "../upstream/channel.js";
import { addMetadata } from "./metadata.js";
import type {
  BodyPart,
  CallMetadata,
  ProtocolResponse,
  ResponseFormat,
  StreamEnd,
  StreamHead,
} from "./protocol.js";

/** Common to the responses of one call in all protocols but REST. */
export interface FormatOptions {
  readonly contentType: string;
  /** Metadata that may pass. */
  readonly names: readonly ForwardedName[];
  /** Whether messages are compressed. */
  readonly compress: boolean;
}

/** The head of responses, and the metadata behind them. */
export abstract class RpcFormat implements ResponseFormat {
  readonly #contentType: string;
  readonly #names: readonly ForwardedName[];
  protected readonly compress: boolean;

  constructor({ contentType, names, compress }: FormatOptions) {
    this.#contentType = contentType;
    this.#names = names;
    this.compress = compress;
  }

  /** The header that announces compressed messages; undefined where it is not known before them. */
  protected abstract readonly encodingHeader: string | undefined;

  head(headers: Metadata): StreamHead {
    const fields: [string, string][] = [["content-type", this.#contentType]];
    if (this.compress && this.encodingHeader !== undefined) fields.push([this.encodingHeader, "gzip"]);
    addMetadata(fields, headers, this.#names);
    return { status: 200, headers: fields };
  }

  abstract whole(message: Uint8Array, metadata: CallMetadata): ProtocolResponse | Promise<ProtocolResponse>;
  abstract message(message: Uint8Array): BodyPart | Promise<BodyPart>;
  abstract end(trailers: Metadata): StreamEnd;
  abstract fail(failure: Failure, trailers: Metadata): StreamEnd;

  /** Adds trailers that may pass. @param prefix put before each name */
  protected withTrailers(
    fields: [name: string, value: string][],
    trailers: Metadata,
    prefix?: string,
  ): [name: string, value: string][] {
    addMetadata(fields, trailers, this.#names, prefix);
    return fields;
  }
}
