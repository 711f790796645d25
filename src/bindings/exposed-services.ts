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

/** Services that only their exact name exposes: what they tell is for operators. */
const internal = /^grpc\.(reflection|health)\./;

/** The text before `**`, which the full names of a pattern's services begin with; undefined for an exact name. */
export function patternPrefix(name: string): string | undefined {
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
