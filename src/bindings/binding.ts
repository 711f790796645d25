import type { RequestOrigins } from "../auth/request-origins.js";
import type { Codecs } from "../codec/codecs.js";
import type { Compression } from "../compression/compression.js";
import type { Dialect } from "../dialects/dialect.js";
import type { HeaderList } from "../net/headers.js";
import type { HostTable } from "../net/host-table.js";
import type { Router } from "../routing/router.js";
import type { Template } from "../routing/template.js";
import type { AnyValue } from "../status/details.js";
import type { RouteMetrics } from "../telemetry/metrics.js";
import type { FormLimits } from "../uploads/forms.js";
import type { Channel } from "../upstream/channel.js";
import type { Forwarder } from "../upstream/http/forwarder.js";
import type { Validate } from "../validation/validator.js";
import type { BuiltInRoute, LocalHandler, PassThroughPrefix } from "./built-in-route.js";
import type { Guard } from "./guard.js";
import type { Route } from "./route.js";

/** Common to bindings of every kind. */
interface BindingBase {
  /** HTTP method in upper case; `*` for any. */
  readonly method: string;
  readonly template: Template;
  /** Full name of the RPC service, or of the part of the gateway that serves it. */
  readonly service: string;
  readonly dialect: Dialect;
  /** Undefined where every caller may call without limits. */
  readonly guard: (Pick<Guard, "admit"> & Partial<Pick<Guard, "challenges">>) | undefined;
  /** Most bytes of a request body. */
  readonly bodyLimit: number;
  readonly metrics: RouteMetrics;
}

/** A route of an RPC method with its upstream, its guard and its metrics. */
export interface RpcBinding extends BindingBase {
  readonly kind: "rpc";
  readonly route: Route;
  readonly guard: Guard | undefined;
  readonly channel: Channel;
  /** Undefined where the upstream has no reflection for types that the model lacks. */
  readonly details: DetailRenderer | undefined;
  /** Limits of forms; undefined where they are refused. */
  readonly forms: FormLimits | undefined;
  /** Undefined where the request's type has no rules. */
  readonly validate: Validate | undefined;
  /** Whether a header is the gateway's alone to send, by lower-case name; no glob takes it. */
  readonly ownHeader: (name: string) => boolean;
  /** Canonical ProtoJSON, independent of the JSON options of the service. */
  readonly canonical: Codecs;
}

/** A route that a part of the gateway serves itself. */
export interface LocalBinding extends BindingBase {
  readonly kind: "local";
  readonly route: BuiltInRoute;
  readonly handler: LocalHandler;
}

/** A prefix below which requests go to an HTTP backend as they are. */
export interface PassThroughBinding extends BindingBase {
  readonly kind: "pass-through";
  readonly route: BuiltInRoute;
  /** Name of the upstream. */
  readonly upstream: string;
  readonly websocket: boolean;
  readonly forwarder: Forwarder;
  readonly check: PassThroughPrefix["check"];
  /** Whether a header is the gateway's alone to send, by lower-case name. */
  readonly ownHeader: (name: string) => boolean;
}

/** Renders error details of one upstream; types that the model lacks are fetched by its reflection. */
export interface DetailRenderer {
  /**
   * The JSON text of each; a promise, which never rejects, where types are fetched. Unknown types come as base64.
   * @param names of fields, as in `JsonPolicy`
   */
  render(
    details: readonly AnyValue[],
    names: "json" | "proto",
  ): readonly string[] | Promise<readonly string[]>;
}

export type Binding = RpcBinding | LocalBinding | PassThroughBinding;

/** The routes that a listener serves in one generation. A request keeps those that it began with. */
export interface BoundRoutes {
  readonly router: Router<Binding>;
  readonly bindings: readonly Binding[];
  /** The routes that replace these at each host that is served; undefined: these are for every host. */
  readonly hosts: HostTable<BoundRoutes> | undefined;
  /** The HTTPS port to which all requests are redirected, at the same host; undefined: they are served. */
  readonly redirectPort: number | undefined;
  /** Whether the sockets of rooms may be opened here. */
  readonly sockets: boolean;
  /** The same object for all routes of a generation. */
  readonly generation: object;
  /**
   * Headers of every response, of any status.
   * @param rpc whether it is in the form of another protocol than REST
   * @param cors the route's own, in place of those of the listener
   */
  responseHeaders(
    origin: string | undefined,
    encrypted: boolean,
    rpc?: boolean,
    cors?: LocalHandler["cors"],
  ): HeaderList;
  /** Further headers of the response to a CORS preflight; undefined if the request is not one, or its origin is not allowed. */
  preflightHeaders(
    origin: string | undefined,
    requestMethod: string | undefined,
    allow: readonly string[],
    rpc: boolean,
  ): HeaderList | undefined;
  /** For errors where no route matches. */
  readonly dialect: Dialect;
  /** Which pages may act for their users, and how many proxies in front are trusted. */
  readonly origins: RequestOrigins;
  /** Undefined where nothing is compressed. */
  readonly compression: Compression | undefined;
  /** The JSON text of one error detail; never throws. */
  renderDetail(typeUrl: string, value: Uint8Array): string;
  /** A request begins: the resources of the bindings stay open until `release`. */
  acquire(): void;
  release(): void;
}
