import { TranscodeError } from "../codec/error.js";
import type { RequestPlan } from "../codec/json-to-wire/request.js";
import { createPace, type Pace, type Steps } from "../net/pace.js";
import { whenReady } from "../net/when-ready.js";
import { gatewayError } from "../status/failure.js";
import { fileBytes } from "./file-bytes.js";
import { FormFields } from "./form-fields.js";
import { encodeForm, type FormLimits, FormParts, formKind, isForm } from "./forms.js";
import { boundaryOf, MultipartParser } from "./multipart.js";

/** Takes a message; a promise where the next one has to wait. */
type Emit = (message: Uint8Array) => void | Promise<void>;

/** Bytes of a file in one message of a stream. */
const maxPieceBytes = 65_536;

/** Bytes of a body to messages; `MessageReader` of protocols. */
interface FormReader {
  push(chunk: Uint8Array, emit: Emit): void | Promise<void>;
  end(emit: Emit): void | Promise<void>;
}

/** How a method that streams reads its request. */
interface StreamedForm {
  readonly plan: RequestPlan;
  readonly clientStreaming: boolean;
  readonly variables: readonly string[];
  readonly query: string;
  readonly contentType: string;
  readonly limits: FormLimits;
}

/**
 * Reads the form in the body of a call that streams; undefined where it is none.
 * @throws GatewayError, TranscodeError where the route takes no form
 */
export function formReader(form: StreamedForm): FormReader | undefined {
  const { plan, contentType, clientStreaming } = form;
  if (!isForm(contentType, plan.takesRawBody)) return undefined;
  const streamed = clientStreaming && formKind(contentType) === "multipart";
  return streamed ? new FormStreamReader(form) : new WholeFormReader(form);
}

/** A form that is one message. */
class WholeFormReader implements FormReader {
  readonly #form: StreamedForm;
  readonly #limit: number;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(form: StreamedForm) {
    const { contentType, limits } = form;
    this.#form = form;
    this.#limit = formKind(contentType) === "multipart" ? limits.body : limits.text;
  }

  push(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size > this.#limit)
      throw gatewayError("BODY_TOO_LARGE", `the body is limited to ${this.#limit} bytes`);
    this.#chunks.push(chunk);
  }

  end(emit: Emit): void | Promise<void> {
    const { plan, variables, query, contentType, limits } = this.#form;
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    if (bytes.length === 0) return emit(plan.encode(variables, query, { contentType: "", bytes }));
    const message = encodeForm(plan, variables, query, { contentType, bytes }, limits);
    return whenReady(message, emit);
  }
}

/**
 * Turns a multipart body into the messages of a client stream: the fields before the file become the first one, together
 * with path and query, and each piece of the file one more, as it comes. A stream has one file, which is its last part.
 */
class FormStreamReader implements FormReader {
  readonly #fields: FormFields;
  readonly #parser: MultipartParser;
  readonly #encodeFirst: () => Uint8Array;
  readonly #setsFields: boolean;
  /** Messages of the piece that is being read. */
  #messages: Uint8Array[] = [];
  #file: "none" | "begun" | "given" = "none";

  /** @throws GatewayError, TranscodeError where the route takes no form */
  constructor({ plan, variables, query, contentType, limits }: StreamedForm) {
    const fields = new FormFields(plan);
    this.#fields = fields;
    this.#setsFields = variables.length > 0 || query !== "";
    this.#encodeFirst = () => fields.encode(variables, query);
    const parts = new FormParts(fields, limits, {
      begin: () => this.#begin(),
      data: (chunk, path, type) => {
        for (let at = 0; at < chunk.length; at += maxPieceBytes) {
          const piece = chunk.subarray(at, at + maxPieceBytes);
          this.#messages.push(Buffer.concat(fileBytes(path, this.#file === "begun" ? type : "", [piece])));
          this.#file = "given";
        }
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
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    return this.#read(this.#parser.read(bytes), createPace(), emit);
  }

  /** Messages leave as they are read, and no turn of the event loop reads much. */
  #read(steps: Steps, pace: Pace, emit: Emit): void | Promise<void> {
    for (let step = steps.next(); !step.done; step = steps.next()) {
      const waiting = this.#emitAll(emit) ?? (pace.spent(step.value) ? pace.nextTurn() : undefined);
      if (waiting !== undefined) return waiting.then(() => this.#read(steps, pace, emit));
    }
  }

  end(emit: Emit): void | Promise<void> {
    this.#parser.end();
    if (this.#file === "none") this.#messages.push(this.#encodeFirst());
    return this.#emitAll(emit);
  }

  #begin(): void {
    this.#file = "begun";
    if (this.#setsFields || !this.#fields.empty) this.#messages.push(this.#encodeFirst());
  }

  #emitAll(emit: Emit): void | Promise<void> {
    for (let next = this.#messages.shift(); next !== undefined; next = this.#messages.shift()) {
      const waiting = emit(next);
      if (waiting !== undefined) return waiting.then(() => this.#emitAll(emit));
    }
  }
}
