import type { Draft, DraftOf } from "./draft.js";
import type { Path } from "./path.js";
import type { MethodConfig } from "./schema.js";

/** The options of services as they are written at one level. */
export interface ServiceOptions {
  readonly path: Path;
  readonly options: DraftOf<MethodConfig>;
}

/** Every level at which options of services are written: `service_defaults`, each service, each of its methods. */
export function* serviceOptions(draft: Draft): Generator<ServiceOptions> {
  if (draft.service_defaults !== undefined) {
    yield { path: ["service_defaults"], options: draft.service_defaults as DraftOf<MethodConfig> };
  }
  for (const [index, service] of (draft.services ?? []).entries()) {
    if (service === undefined) continue;
    yield { path: ["services", index], options: service as DraftOf<MethodConfig> };
    for (const [name, options] of Object.entries(service.methods ?? {})) {
      if (options !== undefined) yield { path: ["services", index, "methods", name], options };
    }
  }
}
