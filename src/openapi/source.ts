import type { ProvidersConfig } from "../auth/config.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import type { RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import type { UploadsConfig } from "../uploads/config.js";

/** The source of documents: the routes of one listener in one generation. */
export interface ApiSource {
  readonly title: string;
  readonly routes: readonly Route[];
  readonly builtIn: readonly BuiltInRoute[];
  readonly checks: RouteChecks;
  readonly providers: ProvidersConfig;
  /** Undefined where forms are refused. */
  readonly uploads: UploadsConfig | undefined;
}
