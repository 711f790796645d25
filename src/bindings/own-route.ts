import type { AuthNames } from "../config/auth-schema.js";
import type { Path } from "../config/path.js";
import type { Template } from "../httprule/template.js";
import { parseTemplate } from "../httprule/template-parser.js";
import type { Endpoint } from "./endpoint.js";
import type { Guard } from "./guard.js";

/** A prefix that the configuration passes through to an HTTP backend. */
export interface PassThroughRule {
  readonly at: Path;
  /** `/legacy/**`, for any method; or one path with one method. */
  readonly method: string;
  readonly template: string;
  /** Name of the upstream, or of the part of the gateway that is behind. */
  readonly upstream: string;
  readonly websocket: boolean;
  /** Providers of which one must accept; undefined: as `auth.default` says. */
  readonly auth: AuthNames | undefined;
  readonly rateLimit: string | readonly string[] | undefined;
  /** Decides in place of the guard that `auth`, `rateLimit` and policies make. */
  readonly guard?: Pick<Guard, "admit">;
  /** What is asked of a request's headers before it is passed on. @throws GatewayError */
  check?(header: (name: string) => string | undefined): void;
}

/** A route that no RPC method answers, with its template read. */
export type OwnRoute =
  | {
      readonly kind: "endpoint";
      readonly method: string;
      readonly template: Template;
      readonly endpoint: Endpoint;
    }
  | {
      readonly kind: "pass-through";
      readonly method: string;
      readonly template: Template;
      readonly rule: PassThroughRule;
    };

/** @throws TemplateError */
export function ownRoute(declared: Endpoint | PassThroughRule): OwnRoute {
  const { method } = declared;
  const template = parseTemplate(declared.template);
  return "answer" in declared
    ? { kind: "endpoint", method, template, endpoint: declared }
    : { kind: "pass-through", method, template, rule: declared };
}
