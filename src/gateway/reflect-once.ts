import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { fetchDescriptors } from "../upstream/reflection/reflection.js";
import type { UsableConfig } from "./compile.js";
import { type ReflectedFiles, reflectedUpstreams } from "./descriptors.js";
import { createChannels } from "./upstreams.js";

/** Milliseconds for one upstream to tell its descriptors. */
const timeout = 10_000;

/**
 * Asks every reflecting upstream once.
 * @throws LoadError naming each upstream that does not answer
 */
export async function reflectOnce(loaded: UsableConfig): Promise<ReflectedFiles> {
  const names = reflectedUpstreams(loaded.config);
  const reflected = new Map<string, readonly Uint8Array[]>();
  if (names.length === 0) return reflected;
  const channels = createChannels(loaded, () => undefined);
  const problems: Diagnostic[] = [];
  await Promise.all(
    names.map(async name => {
      const channel = channels.get(name);
      if (channel === undefined) return;
      try {
        reflected.set(name, (await fetchDescriptors(channel, { timeout })).files);
      } catch (error) {
        const index = loaded.config.descriptors.findIndex(
          source => "reflection" in source && source.reflection === name,
        );
        problems.push({
          severity: "error",
          message: `upstream "${name}" does not tell its descriptors: ${error instanceof Error ? error.message : error}`,
          position: loaded.locate(["descriptors", index, "reflection"]),
          path: `descriptors[${index}].reflection`,
        });
      }
    }),
  );
  await Promise.all([...channels.values()].map(channel => channel.close()));
  if (problems.length > 0) throw new LoadError(problems);
  return reflected;
}
