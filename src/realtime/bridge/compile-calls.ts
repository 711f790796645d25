import { exposedServices } from "../../bindings/exposed-services.js";
import { routePolicy } from "../../bindings/policy.js";
import { createCodecs } from "../../codec/codecs.js";
import { nearest } from "../../config/nearest.js";
import type { Config, ServiceConfig } from "../../config/schema.js";
import type { MethodType, Model } from "../../descriptors/model.js";
import { findMethod, type Report } from "./find-method.js";
import type { CallPlan } from "./plan.js";

/**
 * The methods that `realtime.calls` lists, by `package.Service/Method`. A service must stand under `services`, which
 * say through which upstream and how it is called. Of `package.Service/*` methods that stream from the client are left out.
 */
export function compileCalls(
  config: Config,
  selectors: readonly string[],
  model: Model,
  report: Report,
): ReadonlyMap<string, CallPlan> {
  const calls = new Map<string, CallPlan>();
  const exposed = exposedServices(config, model);
  selectors.forEach((selector, index) => {
    const path = ["realtime", "calls", index];
    const name = selector.slice(0, selector.indexOf("/"));
    const found = exposed.get(name);
    if (found === undefined) {
      // An unknown service is reported where it is exposed.
      if (config.services.some(each => each.service === name)) return;
      const message = `no service "${name}" is exposed; a service that sockets call must stand under services`;
      report("error", path, message, nearest(name, exposed.keys()));
      return;
    }
    const { config: service, type } = found;
    const { methods } = type;
    if (selector.endsWith("/*")) {
      for (const method of methods) {
        if (!method.clientStreaming) add(method, service);
      }
      return;
    }
    const method = findMethod(selector, model, path, report);
    if (method?.clientStreaming) {
      const message = `${selector} streams from the client; sockets call unary and server-streaming methods`;
      report("error", path, message);
    } else if (method !== undefined) {
      add(method, service);
    }
  });
  return calls;

  function add(method: MethodType, service: ServiceConfig): void {
    calls.set(method.path.slice(1), callPlan(config, service, method, model));
  }
}

function callPlan(config: Config, service: ServiceConfig, method: MethodType, model: Model): CallPlan {
  const policy = routePolicy(config, service, method.name, model);
  const codecs = createCodecs(model, policy.json);
  const ownTimeout =
    service.methods[method.name]?.timeout ?? service.timeout ?? config.service_defaults.timeout;
  return {
    upstream: service.upstream,
    method,
    timeout: method.serverStreaming ? ownTimeout : policy.timeout,
    input: codecs.message(method.input),
    output: codecs.message(method.output),
    retryable: method.idempotency !== "unknown",
  };
}
