import type { Diagnostic } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Model, ServiceType } from "../descriptors/model.js";
import type { BindingSections, ServiceConfig } from "./service-config.js";

/** One RPC service that the configuration exposes. */
export interface ExposedService {
  readonly type: ServiceType;
  /** The entry of `services` that exposes it. */
  readonly config: ServiceConfig;
  /** Index of that entry. */
  readonly index: number;
}

/** Services that only their exact name exposes: they are for operators. */
const internal = /^grpc\.(reflection|health)\./;

/** The text before `**`, which the full names of a pattern's services begin with; undefined for an exact name. */
function patternPrefix(name: string): string | undefined {
  return name.endsWith(".**") ? name.slice(0, -2) : undefined;
}

/**
 * The services of the model that an entry of `services` names, by full name and in the order of the entries. An exact
 * name beats a pattern, a longer pattern a shorter one.
 */
export function exposedServices(config: BindingSections, model: Model): ReadonlyMap<string, ExposedService> {
  const entries = [...config.services.entries()];
  const exact = new Set(config.services.map(({ service }) => service));
  const patterns = entries
    .flatMap(([index, { service }]) => ({ index, prefix: patternPrefix(service) ?? "" }))
    .filter(({ prefix }) => prefix !== "")
    .sort((one, two) => two.prefix.length - one.prefix.length);
  const byEntry = new Map<number, ServiceType[]>();
  for (const type of model.services.values()) {
    if (exact.has(type.fullName) || internal.test(type.fullName)) continue;
    const entry = patterns.find(({ prefix }) => type.fullName.startsWith(prefix));
    if (entry === undefined) continue;
    const types = byEntry.get(entry.index);
    if (types === undefined) byEntry.set(entry.index, [type]);
    else types.push(type);
  }
  const exposed = new Map<string, ExposedService>();
  for (const [index, each] of entries) {
    const type = model.services.get(each.service);
    for (const found of type === undefined ? (byEntry.get(index) ?? []) : [type]) {
      if (!exposed.has(found.fullName)) exposed.set(found.fullName, { type: found, config: each, index });
    }
  }
  return exposed;
}

/** The error for an entry that exposes nothing; undefined where more specific entries expose all that it names. */
export function missingServices(
  name: string,
  config: BindingSections,
  model: Model,
): Pick<Diagnostic, "severity" | "message" | "suggestion"> | undefined {
  const prefix = patternPrefix(name);
  const declared = config.descriptors.length > 0;
  const known = [...model.services.keys()];
  if (prefix === undefined) return { severity: "error", ...unknownService(name, known, declared) };
  if (known.some(each => each.startsWith(prefix))) return undefined;
  const packages = new Set(known.flatMap(each => `${each.slice(0, each.lastIndexOf("."))}.**`));
  return { severity: "error", ...unknownService(name, packages, declared) };
}

const maxNamed = 5;

/** Packages in the descriptors of every configuration, which are not suggested as services. */
const bundled = /^(google|grpc|buf|trpc)\./;

/**
 * The error for a service that does not exist: names the nearest, or at most five of the existing ones.
 * @param declared whether the configuration declares descriptors
 */
export function unknownService(
  name: string,
  services: Iterable<string>,
  declared: boolean,
): { readonly message: string; readonly suggestion?: string } {
  if (!declared) return { message: `there is no service "${name}"; no descriptors are declared` };
  const message = `the descriptors have no service "${name}"`;
  const all = [...services];
  const suggestion = nearest(name, all);
  if (suggestion !== undefined) return { message, suggestion };
  const own = all.filter(each => !bundled.test(each));
  if (own.length === 0) return { message: `${message}; they have none` };
  const left = own.length - maxNamed;
  const more = left > 0 ? ` and ${left} more` : "";
  return { message: `${message}; they have ${own.slice(0, maxNamed).join(", ")}${more}` };
}
