import { TranscodeError } from "../codec/error.js";
import type { RequestPlan } from "../codec/json-to-wire/request.js";
import { fileBytes } from "./file-bytes.js";
import { FormFields } from "./form-fields.js";
import { type FormLimits, FormParts } from "./forms.js";
import { boundaryOf, MultipartParser } from "./multipart.js";

/** Takes a message; a promise where the next one has to wait. */
type Emit = (message: Uint8Array) => void | Promise<void>;

/**
 * Turns a multipart body into the messages of a client stream: the fields before the file become the first one, together
 * with path and query, and each piece of the file one more, as it comes. A stream has one file, which is its last part.
 */
export class FormStreamReader {
  readonly #fields: FormFields;
  readonly #parser: MultipartParser;
  readonly #encodeFirst: () => Uint8Array;
  readonly #says: boolean;
  /** Messages of the piece that is being read. */
  #messages: Uint8Array[] = [];
  #file: "none" | "begun" | "given" = "none";

  /** @throws GatewayError, TranscodeError where the route takes no form */
  constructor(
    plan: RequestPlan,
    variables: readonly string[],
    query: string,
    contentType: string,
    limits: FormLimits,
  ) {
    const fields = new FormFields(plan);
    this.#fields = fields;
    this.#says = variables.length > 0 || query !== "";
    this.#encodeFirst = () => fields.encode(variables, query);
    const parts = new FormParts(fields, limits, {
      begin: () => this.#begin(),
      data: (chunk, path, type) => {
        this.#messages.push(Buffer.concat(fileBytes(path, this.#file === "begun" ? type : "", [chunk])));
        this.#file = "given";
      },
      end: (path, type) => {
        // An empty file is one, too.
        if (this.#file === "begun") this.#messages.push(Buffer.concat(fileBytes(path, type, [])));
      },
    });
    this.#parser = new MultipartParser(boundaryOf(contentType), limits.parts, {
      begin: head => {
        if (this.#file !== "none") {
          const message = "a form for a stream has one file, which is its last part";
          throw new TranscodeError("UNEXPECTED_BODY", head.name, message);
        }
        parts.begin(head);
      },
      data: chunk => parts.data(chunk),
      end: () => parts.end(),
    });
  }

  push(chunk: Uint8Array, emit: Emit): void | Promise<void> {
    this.#parser.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    return this.#emitAll(emit);
  }

  end(emit: Emit): void | Promise<void> {
    this.#parser.end();
    if (this.#file === "none") this.#messages.push(this.#encodeFirst());
    return this.#emitAll(emit);
  }

  #begin(): void {
    this.#file = "begun";
    if (this.#says || !this.#fields.empty) this.#messages.push(this.#encodeFirst());
  }

  #emitAll(emit: Emit): void | Promise<void> {
    for (let next = this.#messages.shift(); next !== undefined; next = this.#messages.shift()) {
      const waiting = emit(next);
      if (waiting !== undefined) return waiting.then(() => this.#emitAll(emit));
    }
  }
}
