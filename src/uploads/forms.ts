import { eachParameter } from "../codec/json-to-wire/query.js";
import type { RequestPlan } from "../codec/json-to-wire/request.js";
import type { Field } from "../descriptors/model.js";
import { type Steps, withinTurns } from "../net/pace.js";
import { gatewayError } from "../status/failure.js";
import type { UploadsConfig } from "./config.js";
import { fileBytes } from "./file-bytes.js";
import { FormFields, unitsPerField } from "./form-fields.js";
import {
  boundaryOf,
  bytesPerUnit,
  MultipartParser,
  malformed,
  type PartConsumer,
  type PartHead,
  textOfPart,
} from "./multipart.js";

export type FormKind = "multipart" | "urlencoded";

/** The encoding of a form; undefined for other content types. */
export function formKind(contentType: string | undefined): FormKind | undefined {
  if (contentType === undefined) return undefined;
  const [type = ""] = contentType.split(";", 1);
  switch (type.trim().toLowerCase()) {
    case "multipart/form-data":
      return "multipart";
    case "application/x-www-form-urlencoded":
      return "urlencoded";
    default:
      return undefined;
  }
}

/** Whether a body is read as a form. @param raw the route takes bodies as they are: of the forms only files */
export function isForm(contentType: string, raw: boolean): boolean {
  const kind = formKind(contentType);
  return kind === "multipart" || (kind === "urlencoded" && !raw);
}

/** The limits of a form. */
export interface FormLimits extends UploadsConfig {
  /** Bytes of all that is not in files: the limit of other bodies. */
  readonly text: number;
}

/**
 * Turns the whole body of a form into a request message; a promise where that takes several turns of the event loop.
 * @throws GatewayError, TranscodeError naming the part, or rejects with it
 */
export function encodeForm(
  plan: RequestPlan,
  variables: readonly string[],
  query: string,
  body: { readonly contentType: string; readonly bytes: Uint8Array },
  limits: FormLimits,
): Uint8Array | Promise<Uint8Array> {
  return withinTurns(formSteps(plan, variables, query, body, limits));
}

/** `encodeForm` in steps. */
function* formSteps(
  plan: RequestPlan,
  variables: readonly string[],
  query: string,
  body: { readonly contentType: string; readonly bytes: Uint8Array },
  limits: FormLimits,
): Steps<Uint8Array> {
  const fields = new FormFields(plan);
  if (formKind(body.contentType) === "urlencoded") {
    yield* urlencodedSteps(asciiOf(body.bytes), fields, limits);
    yield fields.units;
    return fields.encode(variables, query);
  }
  const files: Uint8Array[] = [];
  let content: Buffer[] = [];
  const parser = new MultipartParser(
    boundaryOf(body.contentType),
    limits.parts,
    new FormParts(fields, limits, {
      begin: () => {
        content = [];
      },
      data: chunk => content.push(chunk),
      end: (path, contentType) => files.push(...fileBytes(path, contentType, content)),
    }),
  );
  yield* parser.read(Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength));
  parser.end();
  yield fields.units;
  const message = fields.encode(variables, query);
  if (files.length === 0) return message;
  return yield* joined([message, ...files]);
}

/** Joins bytes, in steps. */
function* joined(pieces: readonly Uint8Array[]): Steps<Uint8Array> {
  const whole = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
    yield piece.length / bytesPerUnit;
  }
  return whole;
}

/** Characters of the name of a field in a urlencoded form: as many as a query has. */
const maxNameChars = 8192;
/** Characters of a urlencoded form that are read in one step, more where one field has more. */
const maxStepChars = 4096;

function* urlencodedSteps(text: string, fields: FormFields, limits: FormLimits): Steps {
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf("&", start + maxStepChars);
    const end = found < 0 ? text.length : found;
    const before = count;
    const each = (name: string, value: string): void => {
      count += 1;
      if (count > limits.parts)
        throw gatewayError("BODY_TOO_LARGE", `the form is limited to ${limits.parts} fields`);
      if (name.length > maxNameChars)
        throw malformed(
          `the name of field ${count} has ${name.length} characters, at most ${maxNameChars} are allowed`,
        );
      fields.text(name, value);
    };
    eachParameter(text.slice(start, end), each, Number.POSITIVE_INFINITY);
    yield (count - before) * unitsPerField;
    start = end + 1;
  }
}

/** Takes the parts that are files. */
export interface FileConsumer {
  begin(path: readonly Field[], contentType: string): void;
  data(chunk: Buffer, path: readonly Field[], contentType: string): void;
  end(path: readonly Field[], contentType: string): void;
}

/** Puts parts into the fields of a form, and gives files to their consumer. */
export class FormParts implements PartConsumer {
  readonly #fields: FormFields;
  readonly #limits: FormLimits;
  readonly #files: FileConsumer;
  #head: PartHead | undefined;
  #path: readonly Field[] | undefined;
  #contentType = "";
  #content: Buffer[] = [];
  #left = 0;
  #textLeft: number;

  constructor(fields: FormFields, limits: FormLimits, files: FileConsumer) {
    this.#fields = fields;
    this.#limits = limits;
    this.#files = files;
    this.#textLeft = limits.text;
  }

  begin(head: PartHead): void {
    this.#head = head;
    // Pages can give a part a content type only together with a file name.
    this.#path = this.#fields.fileField(head.name, head.file && !jsonType.test(head.contentType));
    this.#content = [];
    if (this.#path === undefined) return;
    this.#left = this.#limits.file;
    // RFC 7578 §4.4 defines text/plain as the default, which is wrong for a file without a type.
    this.#contentType = head.contentType === "" && head.file ? "application/octet-stream" : head.contentType;
    this.#files.begin(this.#path, this.#contentType);
  }

  data(chunk: Buffer): void {
    const { name } = this.#head as PartHead;
    if (this.#path === undefined) {
      this.#textLeft -= chunk.length;
      if (this.#textLeft < 0) {
        const message = `what is not in files is limited to ${this.#limits.text} bytes in a form`;
        throw gatewayError("BODY_TOO_LARGE", message);
      }
      this.#content.push(chunk);
      return;
    }
    this.#left -= chunk.length;
    if (this.#left < 0)
      throw gatewayError("BODY_TOO_LARGE", `file "${name}" is limited to ${this.#limits.file} bytes`);
    this.#files.data(chunk, this.#path, this.#contentType);
  }

  end(): number {
    const { name, contentType } = this.#head as PartHead;
    if (this.#path !== undefined) {
      this.#files.end(this.#path, this.#contentType);
      return unitsPerField;
    }
    const bytes = Buffer.concat(this.#content);
    this.#content = [];
    if (jsonType.test(contentType)) return this.#fields.json(name, bytes);
    if (contentType !== "" && !textType.test(contentType)) {
      const expected = "expected text/plain in UTF-8 or application/json";
      throw malformed(`part "${name}" has content-type "${contentType.slice(0, 64)}"; ${expected}`);
    }
    this.#fields.text(name, textOfPart(name, bytes));
    return unitsPerField;
  }
}

const jsonType = /^application\/([\w.+-]+\+)?json[ \t]*(;[ \t]*charset="?utf-?8"?[ \t]*)?$/i;
const textType = /^text\/plain[ \t]*(;[ \t]*charset="?utf-?8"?[ \t]*)?$/i;

/** A urlencoded form is ASCII; other bytes must be percent-encoded. */
function asciiOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  if (/[\x80-\xff]/.test(text)) throw malformed("a urlencoded form has bytes that are not percent-encoded");
  return text;
}
