import type { LocalHandler, LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import type { Path } from "../config/diagnostic.js";
import { compileAdmission, counted, endpointOf, readTemplate, successOf, warnOfUnread } from "./admission.js";
import type { LiveKitRouteConfig } from "./config.js";
import { projectOf, tokenRouteMethods } from "./config.js";
import { tokenOperation } from "./operations.js";
import type { LiveKitParts } from "./parts.js";
import { compileSources, everySource, readSubject } from "./subject.js";
import { tokenSigner } from "./token.js";

/** The endpoint of `livekit.routes[index]`. Its errors go to the problems. */
export function tokenEndpoint(route: LiveKitRouteConfig, index: number, parts: LiveKitParts): LocalHandler {
  const { livekit, deps, problems } = parts;
  const at: Path = ["livekit", "routes", index];
  const key = tokenRouteMethods.find(each => route[each] !== undefined) ?? "post";
  const text = route[key] ?? "/";
  const template = readTemplate(text);
  const sources = compileSources(route, template, at, parts);
  const all = everySource(sources);
  warnOfUnread(template, all, [...at, key], parts);
  const admission = compileAdmission(route, sources.identity, all, at, parts);
  const project = projectOf(livekit, route.project);
  const sign = tokenSigner(livekit, route, deps.removals);
  const issue = async (request: LocalRequest): Promise<LocalResponse> => {
    const input = admission.read(request);
    const subject = readSubject(sources, input);
    await admission.admit(subject.room, subject.identity, input, request);
    const jwt = await sign(subject);
    return successOf({ [route.response.url]: project.url, [route.response.jwt]: jwt });
  };
  if (livekit.grants[route.grant]?.roomJoin !== true) {
    problems.warning(
      [...at, "grant"],
      `the grant "${route.grant}" has no roomJoin; its tokens cannot join the room`,
    );
  }
  return {
    ...endpointOf(route, key, text, at),
    operation: tokenOperation(key, text, route, sources),
    handle: counted(issue, "issued", result => deps.metrics.token(route.grant, result)),
  };
}
