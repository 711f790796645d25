import type { ConfigInput } from "../config/compose.js";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { createChannels, type ReflectedFiles, reflectedUpstreams } from "../gateway/backends.js";
import { type Compiled, compile } from "../gateway/compile.js";
import { readConfig, type UsableConfig } from "../gateway/read-config.js";
import type { Rooms } from "../gateway/realtime-settings.js";
import { createRuntime } from "../gateway/runtime.js";
import { errorMessage } from "../net/error-text.js";
import { createPace } from "../net/pace.js";
import { createLogger } from "../telemetry/logger.js";
import { fetchDescriptors } from "../upstream/reflection/reflection.js";

/**
 * Loads and compiles a configuration without listening. Reflection, where it is configured, is used once.
 * @throws LoadError
 */
export async function load(config: ConfigInput): Promise<Compiled> {
  const loaded = readConfig(config, process.env);
  const runtime = createRuntime(loaded.config, createLogger("silent"));
  const reflected = await reflectOnce(loaded);
  const pace = createPace();
  const compiled = await compile(loaded, reflected, {
    runtime,
    rooms: noRooms,
    authenticators: notServed,
    channel: notConnected,
    pace,
    comments: true,
  });
  return { ...compiled, diagnostics: [...compiled.diagnostics, ...notExposed(compiled)] };
}

const noRooms: Rooms = {
  get realtime(): never {
    throw new Error("there are no rooms: nothing is served");
  },
  get fallback(): never {
    throw new Error("there are no rooms: nothing is served");
  },
};

/** Names at most. */
const shown = 20;

/** A configuration that exposes nothing: lists the services it could expose. */
function notExposed({ loaded, model, routes, builtIn: own }: Compiled): readonly Diagnostic[] {
  const { services, descriptors } = loaded.config;
  if (services.length + routes.length + own.length > 0 || descriptors.length === 0) return [];
  const names = [...model.services.keys()].toSorted();
  const more = names.length > shown ? ` and ${names.length - shown} more` : "";
  const message = `no service is exposed; the descriptors have ${names.slice(0, shown).join(", ") || "none"}${more}`;
  return [
    {
      severity: "warning",
      message,
      position: { file: loaded.locate([]).file, line: 0, column: 0 },
      path: "services",
    },
  ];
}

function notServed(): never {
  throw new Error("no provider can be called: nothing is served");
}

function notConnected(upstream: string): never {
  throw new Error(`upstream ${upstream} is not connected: nothing is served`);
}

/** Milliseconds that reflection of one upstream may take. */
const timeout = 10_000;

/**
 * Fetches the descriptors of every upstream with reflection once.
 * @throws LoadError naming each upstream whose reflection fails
 */
async function reflectOnce(loaded: UsableConfig): Promise<ReflectedFiles> {
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
          message: `upstream "${name}" cannot be reflected: ${errorMessage(error)}`,
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
