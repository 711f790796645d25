import type { Path } from "../config/diagnostic.js";
import type { Template } from "../routing/template.js";
import type { FieldViolation } from "../status/details.js";
import { gatewayError } from "../status/failure.js";
import type { LiveKitRouteConfig } from "./config.js";
import type { TokenInput } from "./input.js";
import type { LiveKitParts } from "./parts.js";
import { maxNameBytes } from "./removals.js";
import { compileSource, type TokenSource } from "./source.js";
import type { TokenSubject } from "./token.js";

/** Bytes of metadata or of one attribute: the token must fit into the URL of a WebSocket. */
const maxTextBytes = 4 * 1024;

/** The sources of everything in a token about its holder. */
export interface TokenSources {
  readonly room: TokenSource;
  readonly identity: TokenSource;
  readonly name: TokenSource | undefined;
  readonly metadata: TokenSource | undefined;
  readonly attributes: readonly (readonly [name: string, source: TokenSource])[];
}

/** The sources of a route; their errors go to the problems. */
export function compileSources(
  route: LiveKitRouteConfig,
  template: Template | undefined,
  at: Path,
  { problems }: LiveKitParts,
): TokenSources {
  const source = (part: string, text: string, path: Path) =>
    compileSource(part, text, template, path, problems);
  const optional = (part: "name" | "metadata"): TokenSource | undefined => {
    const text = route[part];
    return text === undefined ? undefined : source(part, text, [...at, part]);
  };
  return {
    room: source("room", route.room, [...at, "room"]),
    identity: source("identity", route.identity, [...at, "identity"]),
    name: optional("name"),
    metadata: optional("metadata"),
    attributes: Object.entries(route.attributes).map(([name, text]) => [
      name,
      source(`attributes.${name}`, text, [...at, "attributes", name]),
    ]),
  };
}

/** All of them, in no order that matters. */
export function everySource({
  room,
  identity,
  name,
  metadata,
  attributes,
}: TokenSources): readonly TokenSource[] {
  const optional = [name, metadata, ...attributes.map(([, source]) => source)];
  return [room, identity, ...optional.filter(source => source !== undefined)];
}

/** @throws GatewayError VALIDATION_FAILED with all that is missing or too long */
export function readSubject(sources: TokenSources, input: TokenInput): TokenSubject {
  const violations: FieldViolation[] = [];
  const required = (source: TokenSource): string => {
    const value = source.read(input) ?? "";
    const wrong = nameProblem(value);
    if (wrong !== undefined) violations.push({ field: source.field, description: wrong });
    return value;
  };
  const optional = (source: TokenSource | undefined, maxBytes: number): string | undefined => {
    const value = source?.read(input);
    const wrong = value === undefined ? undefined : textProblem(value, maxBytes);
    if (source !== undefined && wrong !== undefined) {
      violations.push({ field: source.field, description: wrong });
    }
    return value;
  };
  const attributes: Record<string, string> = Object.create(null);
  const room = required(sources.room);
  const identity = required(sources.identity);
  const name = optional(sources.name, maxNameBytes);
  const metadata = optional(sources.metadata, maxTextBytes);
  for (const [key, source] of sources.attributes) {
    const value = optional(source, maxTextBytes);
    if (value !== undefined) attributes[key] = value;
  }
  requireNone(violations);
  return { room, identity, name, metadata, attributes };
}

/** @throws GatewayError VALIDATION_FAILED with all of them, where there are any */
export function requireNone(violations: readonly FieldViolation[]): void {
  if (violations.length === 0) return;
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  throw gatewayError("VALIDATION_FAILED", message, violations);
}

/** The error in the name of a room or a participant. */
export function nameProblem(value: string): string | undefined {
  if (value.trim() === "") return "must not be empty";
  if (/\p{Cc}/u.test(value)) return "must not hold control characters";
  return textProblem(value, maxNameBytes);
}

/** The error in any other text. */
export function textProblem(value: string, maxBytes: number): string | undefined {
  if (/\p{Cs}/u.test(value)) return "must be valid Unicode";
  if (Buffer.byteLength(value) > maxBytes) return `must have at most ${maxBytes} bytes`;
  return undefined;
}
