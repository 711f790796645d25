import type { Config } from "../config/schema.js";
import type { DescriptorInput } from "../descriptors/load.js";

/** What each reflecting upstream has told, by upstream name. */
export type ReflectedFiles = ReadonlyMap<string, readonly Uint8Array[]>;

/** Names of the upstreams whose reflection is asked. */
export function reflectedUpstreams(config: Config): string[] {
  return config.descriptors.flatMap(source => ("reflection" in source ? [source.reflection] : []));
}

/** The configured sources in order, with what reflection has told filled in. */
export function descriptorInputs(config: Config, reflected: ReflectedFiles): DescriptorInput[] {
  return config.descriptors.map(source => {
    if ("protos" in source) {
      const { protos: folder, include, exclude } = source;
      return { kind: "protos", folder, include, exclude };
    }
    if ("set" in source) return { kind: "set", file: source.set };
    const origin = `reflection of upstream "${source.reflection}"`;
    return { kind: "files", origin, files: reflected.get(source.reflection) ?? [] };
  });
}
