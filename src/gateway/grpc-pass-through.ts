import { routePolicy } from "../bindings/policy.js";
import { compileRoute, type Route } from "../bindings/route.js";
import type { ServiceConfig } from "../bindings/service-config.js";
import { createCodecs } from "../codec/codecs.js";
import type { MessageType, MethodType, Model, ServiceType } from "../descriptors/model.js";
import type { UsableConfig } from "./read-config.js";

/** Metadata that passes: all but what HTTP, browsers, gRPC and the gateway own. */
const passedRequest = ["*", "*-bin", "authorization", "grpc-tags-bin", "grpc-trace-bin"];
const passedResponse = ["*", "*-bin", "grpc-retry-pushback-ms", "grpc-server-stats-bin"];

/** A route for each service of `http.grpc.pass_through`, for all of its methods. */
export function grpcPassThroughRoutes({ config, locate }: UsableConfig, model: Model): Route[] {
  return (config.http.grpc?.pass_through ?? []).map((entry, index) => {
    const path = ["http", "grpc", "pass_through", index];
    const method = anyMethod(entry.service, model);
    const service: ServiceConfig = {
      service: entry.service,
      upstream: entry.upstream,
      auth: entry.auth ?? config.auth.default,
      rate_limit: entry.rate_limit ?? "none",
      // Other dialects require headers of their own.
      errors: "status",
      metadata: { request: passedRequest, response: passedResponse },
      methods: { [method.name]: { timeout: entry.timeout } },
    };
    const policy = routePolicy(config, service, method.name, model);
    const rule = {
      rule: { method: "POST", template: method.path, body: "*", responseBody: "" },
      method,
      service,
      prefix: "",
      source: "protocols" as const,
      position: () => locate(path),
      path: `http.grpc.pass_through[${index}]`,
    };
    const route = compileRoute(rule, policy, createCodecs(model, policy.json), ["grpc"]);
    return Object.assign(route, { passThrough: true as const });
  });
}

/** Represents all methods of a service: they may stream both ways, and their messages are not known. */
function anyMethod(fullName: string, model: Model): MethodType {
  // It is in every model.
  const empty = model.message("google.protobuf.Empty") as MessageType;
  const { file, options, comment, line, deprecated } = empty;
  const element = { file, options: { ...options, get: () => undefined }, comment, line, deprecated };
  const service: ServiceType = {
    ...element,
    kind: "service",
    name: fullName.slice(fullName.lastIndexOf(".") + 1),
    fullName,
    methods: [],
  };
  return {
    ...element,
    name: "*",
    fullName: `${fullName}.*`,
    path: `/${fullName}/*`,
    service,
    input: empty,
    output: empty,
    clientStreaming: true,
    serverStreaming: true,
    idempotency: "unknown",
  };
}
