import { performance } from "node:perf_hooks";
import type { Passage } from "../bindings/guard.js";
import { lookUp } from "../bindings/lookup.js";
import type {
  Binding,
  EndpointBinding,
  PassThroughBinding,
  RpcBinding,
  Snapshot,
} from "../bindings/snapshot.js";
import { Code } from "../status/code.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { type ErrorProfile, renderFailure } from "../status/profiles.js";
import type { AccessLog } from "../telemetry/access-log.js";
import type { Metrics } from "../telemetry/metrics.js";
import { requestIdOf } from "../telemetry/request-id.js";
import { none, type RouteMetrics } from "../telemetry/route-metrics.js";
import { TranscodeError } from "../transcode/error.js";
import { requestFailure, responseFailure } from "../transcode/failure.js";
import { callFailure } from "../upstream/call-failure.js";
import type { UnaryResult } from "../upstream/channel.js";
import { ExchangeCaller } from "./caller.js";
import { requireIdentity, requireJson } from "./content-type.js";
import { targetLimit } from "./engine.js";
import {
  BodyTimeoutError,
  BodyTooLargeError,
  type Exchange,
  type HeaderList,
  MalformedBodyError,
  noBody,
} from "./exchange.js";
import { requestMetadata, responseHeaders } from "./metadata.js";
import { openimAnswer, openimCaller, requireOperationId } from "./openim.js";
import { passOn } from "./pass-on.js";
import { clientTimeout } from "./timeout.js";

export interface PipelineOptions {
  /** The snapshot that new requests begin with. */
  snapshot(): Snapshot;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
  /** True once the gateway is shutting down. */
  draining(): boolean;
}

interface Answer {
  readonly status: number;
  /** True where the reply is out already: it was passed through. */
  readonly sent?: boolean;
  readonly headers: (readonly [string, string])[];
  readonly body: string | Uint8Array;
}

/** Without a promise where the answer is known at once; undefined where `#finish` will be called with it. */
type Outcome = Answer | undefined | Promise<Answer | undefined>;

/** What is known of one request while it is answered; log line and metrics are made from it. */
interface Progress {
  readonly exchange: Exchange;
  readonly snapshot: Snapshot;
  readonly requestId: string;
  readonly started: number;
  binding: Binding | undefined;
  /** What the guard of the binding has made of the request; undefined without one. */
  passage: Passage | undefined;
  requestBytes: number;
  upstreamSeconds: number | undefined;
  failure: Failure | undefined;
  /** What went wrong, for the log only. */
  detail: string | undefined;
}

/** Answers exchanges: match, transcode, call, transcode back. Engines give it every request that they accept. */
export class Pipeline {
  readonly #options: PipelineOptions;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** Never throws and never rejects: every exchange gets its reply. */
  handle(exchange: Exchange): void {
    const snapshot = this.#options.snapshot();
    snapshot.acquire();
    this.#options.metrics.requestStarted();
    const progress: Progress = {
      exchange,
      snapshot,
      requestId: requestIdOf(exchange.header("x-request-id")),
      started: performance.now(),
      binding: undefined,
      passage: undefined,
      requestBytes: 0,
      upstreamSeconds: undefined,
      failure: undefined,
      detail: undefined,
    };
    let outcome: Outcome;
    try {
      outcome = this.#answer(progress);
    } catch (error) {
      outcome = failed(progress, error);
    }
    this.#settle(progress, outcome);
  }

  #settle(progress: Progress, outcome: Outcome): void {
    if (outcome instanceof Promise) {
      outcome.then(
        late => this.#settle(progress, late),
        error => this.#finish(progress, failed(progress, error)),
      );
    } else if (outcome !== undefined) {
      this.#finish(progress, outcome);
    }
  }

  #finish(progress: Progress, answer: Answer): void {
    try {
      this.#send(progress, answer);
    } finally {
      if (progress.passage !== undefined) for (const release of progress.passage.releases) release();
      this.#options.metrics.requestFinished();
      progress.snapshot.release();
    }
  }

  /** Sends the answer and records it; an engine that cannot send it must not cost the process. */
  #send(progress: Progress, answer: Answer): void {
    const { exchange, requestId } = progress;
    const { headers, body } = answer;
    headers.push(["x-request-id", requestId]);
    for (const field of everyReply(progress)) headers.push(field);
    if (progress.passage !== undefined) headers.push(...progress.passage.headers);
    if (this.#options.draining()) headers.push(["connection", "close"]);
    try {
      if (answer.sent !== true) exchange.reply(answer.status, headers, body);
    } catch (error) {
      progress.failure = gatewayFailure("INTERNAL", "the reply could not be written");
      progress.detail = describe(error);
      exchange.abandon();
    }
    this.#record(progress, answer);
  }

  /** Without a promise where the answer is known at once. @throws and rejects with whatever went wrong */
  #answer(progress: Progress): Outcome {
    const { exchange } = progress;
    if (exchange.path.length + exchange.query.length > targetLimit) {
      throw refuse("URI_TOO_LONG", `path and query are limited to ${targetLimit} bytes`);
    }
    const found = find(progress);
    if ("status" in found) return found;
    const { binding, variables } = found;
    progress.binding = binding;
    if (binding.errors === "openim") requireOperationId(exchange);
    if (binding.guard !== undefined) {
      const passage: Passage = { identity: undefined, headers: [], releases: [] };
      progress.passage = passage;
      const caller = new ExchangeCaller(exchange, progress.snapshot.trustedHops);
      const admitted = binding.guard.admit(caller, exchange.path, passage);
      if (admitted !== undefined) return admitted.then(() => this.#dispatch(progress, binding, variables));
    }
    return this.#dispatch(progress, binding, variables);
  }

  #dispatch(progress: Progress, binding: Binding, variables: readonly string[]): Outcome {
    switch (binding.kind) {
      case "rpc":
        return this.#call(progress, binding, variables);
      case "endpoint":
        return answerEndpoint(progress, binding, variables);
      case "pass-through":
        return passThrough(progress, binding);
    }
  }

  #call(progress: Progress, binding: RpcBinding, variables: readonly string[]): Outcome {
    const { exchange } = progress;
    const { route } = binding;
    if (route.rpc.clientStreaming || route.rpc.serverStreaming) {
      throw refuse(
        "STREAMING_NOT_SUPPORTED",
        `${route.rpc.fullName} streams; this version answers unary methods only`,
      );
    }
    const body = exchange.body(binding.bodyLimit);
    if (body instanceof Uint8Array) return this.#callWith(progress, binding, variables, body);
    return arrived(binding, body).then(bytes => this.#callWith(progress, binding, variables, bytes));
  }

  #callWith(
    progress: Progress,
    binding: RpcBinding,
    variables: readonly string[],
    bytes: Uint8Array,
  ): undefined {
    const { exchange } = progress;
    const { route } = binding;
    if (bytes.length > 0) acceptBody(progress, binding, bytes.length);
    const request = encodeRequest(binding, variables, exchange, bytes);
    validate(binding, request);
    if (progress.passage !== undefined) binding.guard?.check(request, exchange.path, progress.passage);
    const identity = progress.passage?.identity;
    const call = {
      path: route.rpc.path,
      request,
      metadata: requestMetadata(
        exchange,
        route.policy.requestNames,
        binding.errors === "openim" ? openimCaller(exchange, identity, progress.requestId) : identity,
        progress.requestId,
        progress.snapshot.trustedHops,
      ),
      timeout: clientTimeout(exchange, route.policy.timeout),
      retryable: route.retryable,
      cancellation: exchange.cancellation,
    };
    binding.channel.begin(call, result => {
      progress.upstreamSeconds = result.seconds;
      let answer: Answer;
      try {
        answer = decodeResponse(progress, binding, result);
      } catch (error) {
        answer = failed(progress, error);
      }
      this.#finish(progress, answer);
    });
  }

  #record(progress: Progress, { status: sent, body }: Answer): void {
    const { exchange, binding, requestId, failure } = progress;
    const { metrics, accessLog } = this.#options;
    const seconds = (performance.now() - progress.started) / 1000;
    const status = failure?.httpStatus ?? sent;
    const code = failure?.code ?? (status < 400 ? Code.OK : Code.UNKNOWN);
    const responseBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    // How long a WebSocket lives is no latency.
    if (status !== 101) {
      routeMetrics(metrics, exchange.method, binding).observe(
        status,
        code,
        seconds,
        progress.requestBytes,
        responseBytes,
      );
    }
    if (accessLog.takes(status)) {
      accessLog.write({
        requestId,
        method: exchange.method,
        path: exchange.path,
        route: binding?.template.text,
        rpc: binding?.kind === "rpc" ? binding.route.rpc.path : undefined,
        upstream: binding === undefined ? undefined : upstreamOf(binding),
        status,
        code,
        seconds,
        upstreamSeconds: progress.upstreamSeconds,
        requestBytes: progress.requestBytes,
        responseBytes,
        reason: failure?.reason,
        detail: progress.detail,
      });
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** A binding's own metrics, unless it answers another method than its own (HEAD for GET, any for `*`). */
function routeMetrics(metrics: Metrics, method: string, binding: Binding | undefined): RouteMetrics {
  if (binding === undefined) return metrics.route(none, method, none);
  if (binding.method === method) return binding.metrics;
  return metrics.route(binding.template.text, method, binding.service);
}

interface Found {
  readonly binding: Binding;
  readonly variables: readonly string[];
}

/**
 * The binding of a request, or the answer to OPTIONS.
 * @throws GatewayError ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, MALFORMED_PATH
 */
function find({ exchange, snapshot }: Progress): Found | Answer {
  const { method, path } = exchange;
  // A preflight carries no credentials: whatever the path has for OPTIONS, it is not for a browser that asks first.
  if (method === "OPTIONS" && exchange.header("access-control-request-method") !== undefined) {
    const preflight = answerPreflight(exchange, snapshot);
    if (preflight !== undefined) return preflight;
  }
  const found = lookUp(snapshot.router, method, path);
  switch (found.kind) {
    case "found":
      return { binding: found.value, variables: found.variables };
    case "malformed":
      throw refuse("MALFORMED_PATH", found.message);
    case "none":
      throw refuse("ROUTE_NOT_FOUND", `no route for ${path.slice(0, 128)}`);
    case "options":
      return { status: 204, headers: [["allow", found.allow.join(", ")]], body: noBody };
    case "method": {
      const { allow } = found;
      const message = `${method} is not allowed here; expected ${allow.join(", ")}`;
      throw new GatewayError(gatewayFailure("METHOD_NOT_ALLOWED", message, [], { allow }));
    }
  }
}

/** Undefined where the request is none, or of an origin that may not call. */
function answerPreflight(exchange: Exchange, snapshot: Snapshot): Answer | undefined {
  const allow = snapshot.router.allowed(exchange.path);
  const requestMethod = exchange.header("access-control-request-method");
  const headers = snapshot.preflightHeaders(exchange.header("origin"), requestMethod, allow);
  if (headers === undefined) return undefined;
  return { status: 204, headers: headers.map(([name, value]) => [name, value]), body: noBody };
}

/** CORS and what is configured for every reply. */
function everyReply({ exchange, snapshot }: Progress): HeaderList {
  return snapshot.replyHeaders(exchange.header("origin"), exchange.encrypted);
}

/** @throws GatewayError BODY_TOO_LARGE, REQUEST_TIMEOUT, CLIENT_CLOSED */
async function arrived({ bodyLimit }: Binding, body: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await body;
  } catch (error) {
    if (error instanceof BodyTooLargeError)
      throw refuse("BODY_TOO_LARGE", `the body is limited to ${bodyLimit} bytes`);
    if (error instanceof BodyTimeoutError)
      throw refuse("REQUEST_TIMEOUT", "the body did not arrive within the time for a request");
    if (error instanceof MalformedBodyError)
      throw refuse("MALFORMED_REQUEST", "the body is not valid HTTP/1.1");
    throw refuse("CLIENT_CLOSED", "the request ended before its body was complete");
  }
}

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE */
function acceptBody(progress: Progress, { route }: RpcBinding, length: number): void {
  progress.requestBytes = length;
  requireIdentity(progress.exchange);
  if (!route.request.takesRawBody) requireJson(progress.exchange);
}

/** @throws GatewayError VALIDATION_FAILED */
function validate({ validate: violationsOf }: RpcBinding, request: Uint8Array): void {
  if (violationsOf === undefined) return;
  const violations = violationsOf(request);
  const [first] = violations;
  if (first === undefined) return;
  const more = violations.length === 1 ? "" : ` (and ${violations.length - 1} more)`;
  const message = `${first.field === "" ? "" : `${first.field}: `}${first.description}${more}`;
  throw new GatewayError(gatewayFailure("VALIDATION_FAILED", message, violations));
}

async function passThrough(progress: Progress, binding: PassThroughBinding): Promise<Answer> {
  const { exchange, snapshot, requestId, passage } = progress;
  const replyHeaders: HeaderList = [
    ["x-request-id", requestId],
    ...everyReply(progress),
    ...(passage?.headers ?? []),
  ];
  const identity = passage?.identity;
  const { trustedHops } = snapshot;
  const failed = (failure: Failure): void => {
    progress.failure = failure;
  };
  const status = await passOn(exchange, binding, identity, requestId, trustedHops, replyHeaders, failed);
  return { status, headers: [], body: noBody, sent: true };
}

function upstreamOf(binding: Binding): string | undefined {
  switch (binding.kind) {
    case "rpc":
      return binding.route.upstream;
    case "pass-through":
      return binding.upstream;
    case "endpoint":
      return undefined;
  }
}

async function answerEndpoint(
  progress: Progress,
  binding: EndpointBinding,
  variables: readonly string[],
): Promise<Answer> {
  const { exchange, requestId, passage, snapshot } = progress;
  const arriving = exchange.body(binding.bodyLimit);
  const body = arriving instanceof Uint8Array ? arriving : await arrived(binding, arriving);
  progress.requestBytes = body.length;
  const own = await binding.endpoint.answer({
    method: exchange.method,
    path: exchange.path,
    query: exchange.query,
    variables,
    body,
    identity: passage?.identity,
    clientAddress: new ExchangeCaller(exchange, snapshot.trustedHops).clientAddress,
    requestId,
    cancellation: exchange.cancellation,
    header: name => exchange.header(name),
  });
  const answer = binding.errors === "openim" ? openimAnswer(own) : own;
  return { status: answer.status, headers: answer.headers.map(entry => [...entry]), body: answer.body };
}

function encodeRequest(
  binding: RpcBinding,
  variables: readonly string[],
  exchange: Exchange,
  bytes: Uint8Array,
): Uint8Array {
  const contentType = exchange.header("content-type") ?? "";
  return binding.route.request.encode(variables, exchange.query, { contentType, bytes });
}

function decodeResponse(progress: Progress, binding: RpcBinding, result: UnaryResult): Answer {
  const { response, policy } = binding.route;
  const headers = responseHeaders(policy.responseNames, result.headers, result.trailers);
  if (result.message === undefined) {
    progress.detail = `${result.status.origin}: ${result.status.message}`;
    return failureAnswer(progress, callFailure(result), headers);
  }
  if (response.empty && policy.emptyStatus === 204) return { status: 204, headers, body: noBody };
  try {
    const { contentType, body } = response.decode(result.message);
    headers.unshift(["content-type", contentType]);
    return { status: 200, headers, body };
  } catch (error) {
    progress.detail = String(error);
    return failureAnswer(progress, responseFailure(), headers);
  }
}

function failed(progress: Progress, error: unknown): Answer {
  if (error instanceof GatewayError) {
    if (error.cause !== undefined) progress.detail = String(error.cause);
    return failureAnswer(progress, error.failure, []);
  }
  if (error instanceof TranscodeError) return failureAnswer(progress, requestFailure(error), []);
  progress.detail = describe(error);
  return failureAnswer(
    progress,
    gatewayFailure("INTERNAL", "the gateway failed; the request id leads to its log"),
    [],
  );
}

function failureAnswer(progress: Progress, failure: Failure, headers: readonly [string, string][]): Answer {
  progress.failure = failure;
  const { exchange, snapshot, binding, requestId } = progress;
  const profile: ErrorProfile = binding?.errors ?? snapshot.errors;
  const details = failure.details.map(detail => snapshot.renderDetail(detail.typeUrl, detail.value));
  const rendered = renderFailure(profile, failure, details, {
    requestId,
    path: exchange.path,
  });
  const all: [string, string][] = [["content-type", rendered.contentType], ...headers];
  if (failure.retryAfter !== undefined) all.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of failure.headers) all.push([name, value]);
  if (failure.allow !== undefined) all.push(["allow", failure.allow.join(", ")]);
  return { status: rendered.status, headers: all, body: rendered.body };
}

function refuse(reason: Parameters<typeof gatewayFailure>[0], message: string): GatewayError {
  return new GatewayError(gatewayFailure(reason, message));
}
