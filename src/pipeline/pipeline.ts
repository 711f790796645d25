import { performance } from "node:perf_hooks";
import { requireHost } from "../auth/request-origins.js";
import type {
  Binding,
  BoundRoutes,
  LocalBinding,
  PassThroughBinding,
  RpcBinding,
} from "../bindings/binding.js";
import type { GuardResult } from "../bindings/guard.js";
import type { Protocol, ProtocolCall } from "../protocols/protocol.js";
import { protocolOf, protocolOn } from "../protocols/protocols.js";
import { CompressedResponse } from "../server/compressed-response.js";
import { type HeaderReader, targetLimit } from "../server/engine.js";
import { expandedRequest } from "../server/expanded-request.js";
import type { InboundRequest } from "../server/inbound-request.js";
import type { ResponseWriter } from "../server/response-writer.js";
import { gatewayError } from "../status/failure.js";
import { requestIdOf } from "../telemetry/ids.js";
import { traced } from "../telemetry/tracing/span.js";
import type { Tracer } from "../telemetry/tracing/tracer.js";
import { RequestCaller } from "./caller.js";
import type { HttpResponse, MaybeLater, RequestContext } from "./context.js";
import { errorResponse } from "./failure-response.js";
import { forward } from "./forward.js";
import { redirect, requireRoutesAt, routesAt } from "./host.js";
import { match, matchSocket, upgradeOf } from "./match.js";
import { callMetadata } from "./metadata.js";
import { openHttpStream } from "./open-http-stream.js";
import { openSocketStream, requireSocket } from "./open-socket-stream.js";
import type { OpenStreams } from "./open-streams.js";
import { bodyRoom, protocolResult, readMessage, unreadable } from "./protocol-call.js";
import { awaitBody, bodyLimitOf, requireReadable, requireType } from "./request-body.js";
import { ownHeaders, RequestEnd, type RequestEndOptions } from "./request-end.js";
import type { StreamServices } from "./stream-call.js";
import { clientTimeout } from "./timeout.js";
import { callTrace } from "./trace.js";
import { checkMessage, decodeResult, encodeRequest } from "./transcode.js";

export interface PipelineOptions extends RequestEndOptions {
  /** The routes of new requests; a request keeps those that it began with. */
  routes(): BoundRoutes;
  /** Milliseconds for a client to send its request. */
  readonly requestTimeoutMs: number;
  /** Undefined where no traces are recorded. */
  readonly tracer: Tracer | undefined;
  /** Keeps the streams that are open. */
  readonly streams: OpenStreams;
}

/**
 * The spine of a request. Engines give `handle` every request that they accept; from there it goes
 *
 *     match       the binding of its method and path                                 match.ts
 *     guard       limits, authentication, policies                                   bindings/guard.ts
 *     transcode   path, query and body become the bytes of a message                 transcode.ts, request-body.ts
 *     call        the message goes to the backend, the result comes back             upstream/channel.ts
 *     respond     the result, or a failure, becomes an HTTP response and is written  transcode.ts, failure-response.ts, request-end.ts
 *     record      metrics and one log line                                           request-end.ts, record.ts
 *
 * Routes of the gateway itself and pass-through prefixes (forward.ts) replace transcode and call. Each step
 * returns a value or throws; the context is made and changed here alone. The steps are callbacks, not async functions:
 * a request that need not wait has no promise.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #end: RequestEnd;
  readonly #streamServices: StreamServices;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#end = new RequestEnd(options);
    this.#streamServices = {
      metrics: options.metrics.streams,
      streams: options.streams,
      draining: () => options.draining(),
      requestTimeoutMs: options.requestTimeoutMs,
      end: this.#end,
    };
  }

  /** For `EngineOptions.upgrades`: routes that take WebSockets, or refuse them themselves. */
  upgrades(target: string, header: HeaderReader): "connection" | "socket" | undefined {
    const routes = routesAt(this.#options.routes(), header);
    return routes && upgradeOf(routes.router, target);
  }

  /** Whether sockets of rooms are served at the requested host. */
  servesSockets(header: HeaderReader): boolean {
    return routesAt(this.#options.routes(), header)?.sockets === true;
  }

  /** Never throws and never rejects: every request gets its response. */
  handle(request: InboundRequest, response: ResponseWriter): void {
    const routes = this.#options.routes();
    routes.acquire();
    this.#options.metrics.requestStarted();
    const context: RequestContext = {
      request,
      response,
      routes,
      requestId: requestIdOf(request.header("x-request-id")),
      span: this.#options.tracer?.server(request),
      startedMs: performance.now(),
      binding: undefined,
      protocol: undefined,
      guardResult: undefined,
      streamed: false,
      requestBytes: 0,
      responseBytes: 0,
      upstreamSeconds: undefined,
      endpoint: this.#options.accessLog.hasAddresses ? { address: undefined } : undefined,
    };
    if (routes.compression !== undefined)
      context.response = new CompressedResponse(request, response, routes.compression, context);
    let result: MaybeLater;
    try {
      result = this.#match(context);
    } catch (error) {
      if (context.binding === undefined) context.protocol = protocolOf(request);
      result = errorResponse(context, error);
    }
    this.#whenReady(context, result);
  }

  /** @throws and rejects with the error of any later step */
  #match(context: RequestContext): MaybeLater {
    const { request } = context;
    requireHost(request.header("host"));
    if (context.routes.hosts !== undefined) context.routes = requireRoutesAt(context.routes, request);
    const { routes } = context;
    if (routes.redirectPort !== undefined) return redirect(request, routes, routes.redirectPort);
    if (request.path.length + request.query.length > targetLimit)
      throw gatewayError("URI_TOO_LONG", `path and query are limited to ${targetLimit} bytes`);
    const matched = (request.upgrade && matchSocket(routes.router, request.path)) ?? match(request, routes);
    if ("status" in matched) return matched;
    const { binding, variables } = matched;
    context.binding = binding;
    if (binding.kind === "rpc" && binding.route.protocols.length > 0) {
      context.protocol = protocolOn(binding, request);
      if (context.protocol === undefined && !binding.route.rest) return unreadable(context, binding);
    }
    // Connect and gRPC compress messages by their own headers.
    if (routes.compression !== undefined && binding.kind !== "pass-through" && context.protocol === undefined)
      context.request = expandedRequest(request, routes.compression);
    if (request.upgrade !== undefined && binding.kind === "rpc") requireSocket(request, binding, routes);
    binding.dialect.accept?.check(request);
    return this.#guard(context, binding, variables);
  }

  #guard(context: RequestContext, binding: Binding, variables: readonly string[]): MaybeLater {
    if (binding.guard !== undefined) {
      const { request, routes } = context;
      const guardResult: GuardResult = {
        method: request.method,
        identity: undefined,
        headers: [],
        releases: [],
      };
      context.guardResult = guardResult;
      const span = context.span?.child("guard");
      const caller = new RequestCaller(request, routes.origins, span);
      const { guard } = binding;
      const admitted =
        span === undefined
          ? guard.admit(caller, request.path, guardResult)
          : traced(span, () => guard.admit(caller, request.path, guardResult));
      if (admitted !== undefined) return admitted.then(() => this.#dispatch(context, binding, variables));
    }
    return this.#dispatch(context, binding, variables);
  }

  #dispatch(context: RequestContext, binding: Binding, variables: readonly string[]): MaybeLater {
    switch (binding.kind) {
      case "rpc":
        if (context.protocol === undefined) return this.#readBody(context, binding, variables);
        return this.#readMessage(context, binding, variables, context.protocol);
      case "local":
        return this.#handleLocally(context, binding, variables);
      case "pass-through":
        return this.#forward(context, binding);
    }
  }

  #forward(context: RequestContext, binding: PassThroughBinding): MaybeLater {
    const received = (bytes: number): void => {
      context.requestBytes += bytes;
    };
    return forward(context, binding, received, ownHeaders(context, []));
  }

  #readBody(context: RequestContext, binding: RpcBinding, variables: readonly string[]): MaybeLater {
    const { rpc } = binding.route;
    const { upgrade } = context.request;
    if (upgrade !== undefined)
      return openSocketStream(context, binding, variables, upgrade, this.#streamServices);
    if (rpc.clientStreaming || rpc.serverStreaming) {
      openHttpStream(context, binding, variables, this.#streamServices);
      return undefined;
    }
    const limit = bodyLimitOf(binding, context.request);
    const body = context.request.body(limit);
    if (body instanceof Uint8Array) return this.#call(context, binding, variables, body);
    return awaitBody(body, limit).then(bytes => this.#call(context, binding, variables, bytes));
  }

  #call(
    context: RequestContext,
    binding: RpcBinding,
    variables: readonly string[],
    bytes: Uint8Array,
  ): MaybeLater {
    const { request, routes } = context;
    if (bytes.length > 0) {
      context.requestBytes = bytes.length;
      requireReadable(request, binding, routes.origins);
    }
    const message =
      context.span === undefined
        ? encodeRequest(binding, variables, request, bytes)
        : traced(context.span.child("transcode request"), () =>
            encodeRequest(binding, variables, request, bytes),
          );
    if (message instanceof Promise)
      return message.then(encoded => this.#begin(context, binding, encoded, undefined));
    return this.#begin(context, binding, message, undefined);
  }

  /** A call in another protocol than REST. */
  #readMessage(
    context: RequestContext,
    binding: RpcBinding,
    variables: readonly string[],
    protocol: Protocol,
  ): MaybeLater {
    const { rpc } = binding.route;
    if (rpc.clientStreaming || rpc.serverStreaming) {
      openHttpStream(context, binding, variables, this.#streamServices);
      return undefined;
    }
    const { request } = context;
    const call = protocol.open(request, binding, variables);
    const message = readMessage(request, call.reader, bodyRoom(binding.bodyLimit), bytes => {
      context.requestBytes = bytes;
    });
    if (message instanceof Promise) return message.then(bytes => this.#begin(context, binding, bytes, call));
    return this.#begin(context, binding, message, call);
  }

  /** @param protocolCall undefined for REST */
  #begin(
    context: RequestContext,
    binding: RpcBinding,
    message: Uint8Array,
    protocolCall: ProtocolCall | undefined,
  ): undefined {
    const { request } = context;
    const { route } = binding;
    checkMessage(context, binding, message);
    const call = {
      path: route.rpc.path,
      request: message,
      metadata: callMetadata(context, binding),
      timeout:
        protocolCall === undefined
          ? clientTimeout(request, route.policy.timeout)
          : Math.min(protocolCall.timeoutMs ?? route.policy.timeout, route.policy.timeout),
      retryable: route.retryable,
      cancellation: request.cancellation,
      trace: callTrace(context, binding),
    };
    binding.channel.begin(call, result => {
      context.upstreamSeconds = result.seconds;
      let response: HttpResponse | Promise<HttpResponse>;
      try {
        response =
          protocolCall === undefined
            ? context.span === undefined
              ? decodeResult(context, binding, result)
              : traced(context.span.child("transcode response"), () => decodeResult(context, binding, result))
            : protocolResult(context, binding, protocolCall, result);
      } catch (error) {
        response = errorResponse(context, error);
      }
      this.#whenReady(context, response);
    });
  }

  /** A route that the gateway serves itself. */
  async #handleLocally(
    context: RequestContext,
    binding: LocalBinding,
    variables: readonly string[],
  ): Promise<HttpResponse> {
    const { request, requestId, guardResult, routes } = context;
    const arriving = request.body(binding.bodyLimit);
    const bytes = arriving instanceof Uint8Array ? arriving : await awaitBody(arriving, binding.bodyLimit);
    context.requestBytes = bytes.length;
    if (bytes.length > 0) requireType(request, routes.origins);
    const caller = new RequestCaller(request, routes.origins);
    const own = await binding.handler.handle({
      method: request.method,
      path: request.path,
      query: request.query,
      encrypted: request.encrypted,
      span: context.span,
      variables,
      body: bytes,
      identity: guardResult?.identity,
      guardResult,
      clientAddress: caller.clientAddress,
      requestId,
      cancellation: request.cancellation,
      header: name => request.header(name),
      cookies: () => caller.cookies(),
      certificate: () => caller.certificate(),
    });
    context.streamed ||= own.waited === true;
    const { renderSuccess } = binding.dialect;
    const enveloped = renderSuccess !== undefined && own.status === 200 && typeof own.body === "string";
    const body = enveloped ? renderSuccess(own.body as string) : own.body;
    return { status: own.status, headers: [...own.headers], body };
  }

  #whenReady(context: RequestContext, result: MaybeLater): void {
    if (result instanceof Promise) {
      result.then(
        response => this.#whenReady(context, response),
        error => this.#end.respond(context, errorResponse(context, error)),
      );
    } else if (result !== undefined) {
      this.#end.respond(context, result);
    }
  }
}
