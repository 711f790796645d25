import type { Diagnostic } from "../../config/diagnostic.js";
import { nearest } from "../../config/nearest.js";
import type { Path } from "../../config/path.js";
import type { MethodType, Model } from "../../descriptors/model.js";

/** Tells of a problem at a place of the configuration. */
export type Report = (
  severity: Diagnostic["severity"],
  path: Path,
  message: string,
  suggestion?: string,
) => void;

/** The method that `package.Service/Method` names, or undefined with the problem reported. */
export function findMethod(name: string, model: Model, path: Path, report: Report): MethodType | undefined {
  const slash = name.indexOf("/");
  const service = model.services.get(name.slice(0, slash));
  if (service === undefined) {
    const near = nearest(name.slice(0, slash), model.services.keys());
    report("error", path, `the descriptors have no service "${name.slice(0, slash)}"`, near);
    return undefined;
  }
  const wanted = name.slice(slash + 1);
  const method = service.methods.find(each => each.name === wanted);
  if (method === undefined) {
    const near = nearest(
      wanted,
      service.methods.map(each => each.name),
    );
    report("error", path, `${service.fullName} has no method "${wanted}"`, near);
  }
  return method;
}
