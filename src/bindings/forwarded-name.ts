import { ownHeaders, ownResponseHeaders } from "../net/headers.js";

/** A declared header or metadata entry that passes, or a glob of several; both sides have the same name, in lower case. */
export interface ForwardedName {
  readonly name: string;
  /** True for `-bin` names, whose values are base64 in HTTP and bytes in gRPC. */
  readonly binary: boolean;
  /** Undefined where it is one name. */
  readonly matches: ((name: string) => boolean) | undefined;
}

/**
 * @param names as the loaded configuration has them: in lower case, none that gRPC or the connection owns
 * @param except names that no glob matches
 */
export function forwardedNames(names: readonly string[], except?: ReadonlySet<string>): ForwardedName[] {
  return names.map(name => ({ name, binary: name.endsWith("-bin"), matches: globOf(name, except) }));
}

/** Whether metadata of that name, in lower case, may pass. */
export function passes(names: readonly ForwardedName[], name: string): boolean {
  for (const each of names)
    if (each.matches === undefined ? each.name === name : each.matches(name)) return true;
  return false;
}

/** Binary metadata passes by globs that end in `-bin`, other metadata by those that do not. */
function globOf(pattern: string, except: ReadonlySet<string> | undefined): ForwardedName["matches"] {
  const star = pattern.indexOf("*");
  if (star < 0) return undefined;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  const binary = pattern.endsWith("-bin");
  return name =>
    name.length >= before.length + after.length &&
    name.startsWith(before) &&
    name.endsWith(after) &&
    name.endsWith("-bin") === binary &&
    !isNamedOnly(name) &&
    except?.has(name) !== true;
}

/** A name of HTTP, browsers, protocols or the gateway, or of a credential: it passes where it is named, or never. */
function isNamedOnly(name: string): boolean {
  return namedOnly.has(name) || namedOnlyPrefix.test(name);
}

const namedOnlyPrefix =
  /^(?:accept|access-control-|connect-|content-|grpc-|if-|proxy-|ratelimit|sec-|trailer-|x-forwarded-|:)/;

const namedOnly: ReadonlySet<string> = new Set([
  ...ownHeaders,
  ...ownResponseHeaders,
  "age",
  "alt-svc",
  "authorization",
  "cache-control",
  "cookie",
  "dnt",
  "etag",
  "expires",
  "forwarded",
  "last-modified",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "priority",
  "range",
  "referer",
  "server",
  "set-cookie",
  "strict-transport-security",
  "traceparent",
  "tracestate",
  "upgrade-insecure-requests",
  "vary",
  "via",
  "www-authenticate",
  "x-content-type-options",
  "x-grpc-web",
  "x-real-ip",
  "x-user-agent",
]);
