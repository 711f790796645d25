import type { RpcBinding } from "../../bindings/binding.js";
import type { StreamPlan } from "../../bindings/stream-config.js";
import { TranscodeError } from "../../codec/error.js";
import type { RequestBody } from "../../codec/json-to-wire/request.js";
import type { InboundRequest } from "../../server/inbound-request.js";
import { formReader } from "../../uploads/form-stream.js";
import { bareType } from "../media-type.js";
import type { EmitMessage, MessageReader, ProtocolCall } from "../protocol.js";
import { JsonSequence, type SequenceForm } from "./json-sequence.js";
import { acceptedForm } from "./response-form.js";
import { restFormat } from "./rest-formats.js";

/** How the messages of a request are encoded in its body: `whole` is one, `raw` each piece of it in an HttpBody. */
export type RequestForm = "whole" | "raw" | SequenceForm;

const lineTypes: ReadonlySet<string> = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
]);

/** Whether a body of that content type has a message on each line. */
export function isLines(contentType: string): boolean {
  return lineTypes.has(bareType(contentType));
}

/**
 * A call of a method that streams, over REST.
 * @param variables values of the template's variables, raw
 * @throws GatewayError NOT_ACCEPTABLE
 */
export function openRestStream(
  request: InboundRequest,
  binding: RpcBinding,
  variables: readonly string[],
): ProtocolCall {
  const { route } = binding;
  const { stream } = route;
  const raw = stream === undefined || route.response.raw;
  const form = raw ? undefined : acceptedForm(request.header("accept"), stream.form);
  const query = form === "sse" ? queryOf(request, stream as StreamPlan) : request.query;
  return {
    timeoutMs: undefined,
    reader:
      readerOfForm(request, binding, variables, query) ??
      new RestReader(binding, requestForm(request, binding), variables, query, contentTypeOf(request)),
    format: restFormat(binding, request, form),
  };
}

function readerOfForm(
  request: InboundRequest,
  { route, forms }: RpcBinding,
  variables: readonly string[],
  query: string,
): MessageReader | undefined {
  if (forms === undefined || !request.hasBody) return undefined;
  return formReader({
    plan: route.request,
    clientStreaming: route.rpc.clientStreaming,
    variables,
    query,
    contentType: contentTypeOf(request),
    limits: forms,
  });
}

function contentTypeOf(request: InboundRequest): string {
  return request.header("content-type") ?? "";
}

function requestForm(request: InboundRequest, { route }: RpcBinding): RequestForm {
  if (!route.rpc.clientStreaming) return "whole";
  if (route.request.takesRawBody) return "raw";
  return isLines(contentTypeOf(request)) ? "lines" : "either";
}

/** The query, in which Last-Event-ID replaces the parameter that it sets. */
function queryOf(request: InboundRequest, { lastEventId }: StreamPlan): string {
  const { query } = request;
  const last = request.header("last-event-id");
  if (lastEventId === undefined || last === undefined) return query;
  const others = query
    .split("&")
    .filter(part => part !== "" && decodeURIComponentSafely(part.split("=", 1)[0] as string) !== lastEventId);
  // A client sends the id in UTF-8, and header values come as one byte a character.
  const id = Buffer.from(last, "latin1").toString("utf8");
  return [...others, `${lastEventId}=${encodeURIComponent(id)}`].join("&");
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** Engines differ in how much of a body they give at once; the messages made of it are of one size at most. */
const maxRawBytes = 64 * 1024;

function* pieces(chunk: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += maxRawBytes) yield chunk.subarray(at, at + maxRawBytes);
}

/** Messages from a JSON or raw body; path and query go into the first. */
class RestReader implements MessageReader {
  readonly #binding: RpcBinding;
  readonly #form: RequestForm;
  readonly #variables: readonly string[];
  readonly #query: string;
  readonly #contentType: string;
  readonly #sequence: JsonSequence | undefined;
  #whole: Uint8Array = new Uint8Array(0);
  #emitted = false;

  constructor(
    binding: RpcBinding,
    form: RequestForm,
    variables: readonly string[],
    query: string,
    contentType: string,
  ) {
    this.#binding = binding;
    this.#form = form;
    this.#variables = variables;
    this.#query = query;
    this.#contentType = contentType;
    this.#sequence =
      form === "whole" || form === "raw" ? undefined : new JsonSequence(form, binding.bodyLimit);
  }

  push(chunk: Uint8Array, emit: EmitMessage): void | Promise<void> {
    if (this.#sequence !== undefined) return this.#emitAll(this.#sequence.push(chunk), emit);
    if (this.#form === "raw") return this.#emitAll(pieces(chunk), emit);
    this.#whole = chunk;
  }

  end(emit: EmitMessage): void | Promise<void> {
    if (this.#sequence !== undefined) {
      const emitted = this.#emitAll(this.#sequence.end(), emit);
      return emitted === undefined ? this.#emitFirst(emit) : emitted.then(() => this.#emitFirst(emit));
    }
    if (this.#form === "whole") return this.#emit(this.#whole, emit);
    return this.#emitFirst(emit);
  }

  /** Fields of path and query reach the backend also without any element in the body. */
  #emitFirst(emit: EmitMessage): void | Promise<void> {
    const setsFields = this.#form === "raw" || this.#variables.length > 0 || this.#query !== "";
    if (!this.#emitted && setsFields) return this.#emit(new Uint8Array(0), emit);
  }

  #emitAll(values: Generator<Uint8Array>, emit: EmitMessage): Promise<void> | undefined {
    for (let next = values.next(); !next.done; next = values.next()) {
      const waiting = this.#emit(next.value, emit);
      if (waiting !== undefined) return waiting.then(() => this.#emitAll(values, emit));
    }
    return undefined;
  }

  #emit(bytes: Uint8Array, emit: EmitMessage): Promise<void> | undefined {
    const { request } = this.#binding.route;
    const body: RequestBody = { contentType: this.#emitted ? "" : this.#contentType, bytes };
    let message: Uint8Array | Promise<Uint8Array>;
    try {
      message = this.#emitted
        ? request.encodeNextInTurns(this.#variables, body)
        : request.encodeInTurns(this.#variables, this.#query, body);
    } catch (error) {
      throw this.#located(error);
    } finally {
      this.#emitted = true;
    }
    if (!(message instanceof Promise)) return emit(message);
    const later = message.catch(error => {
      throw this.#located(error);
    });
    return later.then(emit);
  }

  /** The error of the element that was read last. */
  #located(error: unknown): unknown {
    const index = (this.#sequence?.count ?? 0) - 1;
    return error instanceof TranscodeError && index >= 0 ? error.within(`[${index}]`) : error;
  }
}
