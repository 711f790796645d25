import { performance } from "node:perf_hooks";
import { requireHost } from "../auth/host-header.js";
import type { Passage } from "../bindings/guard.js";
import { lookUp } from "../bindings/lookup.js";
import type { Binding, RpcBinding, Snapshot } from "../bindings/snapshot.js";
import { targetLimit } from "../server/engine.js";
import type { Exchange } from "../server/exchange.js";
import { gatewayFailure } from "../status/failure.js";
import { requestIdOf } from "../telemetry/request-id.js";
import { arrived } from "./arrival.js";
import { ExchangeCaller } from "./caller.js";
import { describe, failed, refuse } from "./failure-answer.js";
import { find } from "./match.js";
import { requestMetadata } from "./metadata.js";
import { answerEndpoint, passThrough } from "./other-answers.js";
import { type Answer, everyReply, type Outcome, type Progress } from "./progress.js";
import { type Records, record } from "./record.js";
import { acceptBody, decodeResponse, encodeRequest, validate } from "./rpc-answer.js";
import { clientTimeout } from "./timeout.js";

export interface PipelineOptions extends Records {
  /** The snapshot that new requests begin with. */
  snapshot(): Snapshot;
  /** True once the gateway is shutting down. */
  draining(): boolean;
}

/** Answers exchanges: match, transcode, call, transcode back. Engines give it every request that they accept. */
export class Pipeline {
  readonly #options: PipelineOptions;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** Whether a GET of that target, path and query, is for a route that takes WebSockets or refuses them itself. */
  upgrades(target: string): boolean {
    const [path = ""] = target.split("?", 1);
    const found = lookUp(this.#options.snapshot().router, "GET", path);
    return found.kind === "found" && found.value.kind === "pass-through";
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
      relayedBytes: 0,
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
    record(this.#options, progress, answer);
  }

  /** Without a promise where the answer is known at once. @throws and rejects with whatever went wrong */
  #answer(progress: Progress): Outcome {
    const { exchange } = progress;
    requireHost(exchange.header("host"));
    if (exchange.path.length + exchange.query.length > targetLimit) {
      throw refuse("URI_TOO_LONG", `path and query are limited to ${targetLimit} bytes`);
    }
    const found = find(progress);
    if ("status" in found) return found;
    const { binding, variables } = found;
    progress.binding = binding;
    binding.dialect.accept?.check(exchange);
    if (binding.guard !== undefined) {
      const passage: Passage = { method: exchange.method, identity: undefined, headers: [], releases: [] };
      progress.passage = passage;
      const caller = new ExchangeCaller(exchange, progress.snapshot.origins);
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
    const { callerMetadata } = binding.dialect;
    const call = {
      path: route.rpc.path,
      request,
      metadata: requestMetadata(
        exchange,
        route.policy.requestNames,
        callerMetadata === undefined
          ? identity?.metadata
          : callerMetadata.entries(exchange, identity, progress.requestId),
        progress.requestId,
        progress.snapshot.origins,
      ),
      timeout: clientTimeout(exchange, route.policy.timeout),
      retryable: route.retryable,
      cancellation: exchange.cancellation,
    };
    binding.channel.begin(call, result => {
      progress.upstreamSeconds = result.seconds;
      let answer: Answer | Promise<Answer>;
      try {
        answer = decodeResponse(progress, binding, result);
      } catch (error) {
        answer = failed(progress, error);
      }
      this.#settle(progress, answer);
    });
  }
}
