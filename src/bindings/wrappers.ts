import { type OwnWrappers, wrappedField } from "../codec/well-known.js";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Model } from "../descriptors/model.js";
import type { Dialect } from "../dialects/dialect.js";
import type { Locate } from "./rules.js";
import { serviceOptions } from "./service-check.js";
import type { BindingSections } from "./service-config.js";

/**
 * The messages that a route prints and reads as the bare value of their field. Names that are no wrappers are left out;
 * `wrapperProblems` reports them.
 * @param configured `json.wrappers`; undefined where it is not written
 */
export function wrapperTypes(
  configured: readonly string[] | undefined,
  dialect: Dialect,
  model: Model,
): OwnWrappers {
  const names = configured ?? dialect.wrappers ?? [];
  return new Set(
    names.filter(name => {
      const type = model.message(name);
      return type !== undefined && wrappedField(type) !== undefined;
    }),
  );
}

/** Problems of the names under `json.wrappers` of services and methods. */
export function wrapperProblems(config: BindingSections, model: Model, locate: Locate): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const check = (names: readonly (string | undefined)[] | undefined, at: Path): void => {
    names?.forEach((name, index) => {
      if (name === undefined) return;
      const type = model.message(name);
      if (type !== undefined && wrappedField(type) !== undefined) return;
      const path = [...at, "json", "wrappers", index];
      const suggestion = type === undefined ? nearest(name, messageNames(model)) : undefined;
      problems.push({
        severity: "error",
        message:
          type === undefined
            ? `the descriptors have no message "${name}"`
            : `${name} cannot be written as a bare value; expected a message with exactly one field, a scalar or an enum named "value"`,
        position: locate(path),
        path: formatPath(path),
        ...(suggestion !== undefined && { suggestion }),
      });
    });
  };
  for (const { path, options } of serviceOptions(config)) check(options.json?.wrappers, path);
  return problems;
}

/** Of the messages that services use. */
function messageNames(model: Model): ReadonlySet<string> {
  const names = new Set<string>();
  const waiting = [...model.services.values()].flatMap(({ methods }) =>
    methods.flatMap(({ input, output }) => [input, output]),
  );
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    if (names.has(type.fullName)) continue;
    names.add(type.fullName);
    waiting.push(...type.fields.flatMap(({ message }) => message ?? []));
  }
  return names;
}
