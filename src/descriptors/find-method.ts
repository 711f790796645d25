import { nearest } from "../config/nearest.js";
import type { MethodType, Model } from "./model.js";

/** Takes a problem with a name, and the nearest name that would have none. */
type ReportName = (message: string, suggestion: string | undefined) => void;

/** The method that `package.Service/Method` names; undefined where there is none, which is reported. */
export function findMethod(name: string, model: Model, report: ReportName): MethodType | undefined {
  const slash = name.indexOf("/");
  const serviceName = slash < 0 ? name : name.slice(0, slash);
  const methodName = slash < 0 ? "" : name.slice(slash + 1);
  const service = model.services.get(serviceName);
  if (service === undefined) {
    const near = nearest(serviceName, model.services.keys());
    report(`the descriptors have no service "${serviceName}"`, near && `${near}/${methodName}`);
    return undefined;
  }
  const method = service.methods.find(each => each.name === methodName);
  if (method === undefined) {
    const names = service.methods.map(each => each.name);
    const near = nearest(methodName, names);
    report(`${serviceName} has no method "${methodName}"`, near && `${serviceName}/${near}`);
  }
  return method;
}

/** As `findMethod`; a method that streams is reported as well. */
export function findUnaryMethod(name: string, model: Model, report: ReportName): MethodType | undefined {
  const method = findMethod(name, model, report);
  if (method === undefined) return undefined;
  if (!method.clientStreaming && !method.serverStreaming) return method;
  report(`${name} streams; expected a unary method`, undefined);
  return undefined;
}
