import { Code, codeName } from "../status/code.js";
import type { CounterChild, CounterSeries, HistogramChild, HistogramSeries } from "./series.js";

/** Label value where nothing that is configured applies. */
export const none = "<none>";

const methods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "CONNECT",
  "TRACE",
]);

/** Label value for anything outside the closed set of a label. */
export const other = "other";

/** `other` for codes that gRPC does not define, since backends may send any number. */
export function codeLabel(grpcCode: number): string {
  return isDefined(grpcCode) ? codeName(grpcCode) : other;
}

/** `other` for methods outside RFC 9110 and PATCH, since clients may send any method. */
export function methodLabel(method: string): string {
  return methods.has(method) ? method : other;
}

/** The series that every route has children of. */
export interface RouteSeries {
  readonly requests: CounterSeries;
  readonly duration: HistogramSeries;
  readonly requestSize: HistogramSeries;
  readonly responseSize: HistogramSeries;
}

interface RouteHistograms {
  readonly duration: HistogramChild;
  readonly requestSize: HistogramChild;
  readonly responseSize: HistogramChild;
}

/** The metrics of one route, method and service. Children are made when first needed: a route without traffic has none. */
export class RouteMetrics {
  readonly #series: RouteSeries;
  readonly #route: string;
  readonly #method: string;
  readonly #service: string;
  #requests: Map<number, CounterChild> | undefined;
  #business: Map<string, CounterChild> | undefined;
  #histograms: RouteHistograms | undefined;

  /** @param method as `methodLabel` gives it */
  constructor(series: RouteSeries, route: string, method: string, service: string) {
    this.#series = series;
    this.#route = route;
    this.#method = method;
    this.#service = service;
  }

  /**
   * Counts one request that is over.
   * @param httpStatus the real one, independent of the dialect's
   * @param grpcCode as the backend sent it or the gateway decided; 0 is success
   * @param requestBytes size of the body as received
   * @param responseBytes size of the body as sent
   * @param label of a code that is none of gRPC's, out of the configuration
   * @param traceId where the trace is recorded
   */
  observe(
    httpStatus: number,
    grpcCode: number,
    seconds: number,
    requestBytes: number,
    responseBytes: number,
    label?: string,
    traceId?: string,
  ): void {
    this.count(httpStatus, grpcCode, label);
    this.#histograms ??= this.#makeHistograms();
    this.#histograms.duration.observe(seconds, traceId);
    this.#histograms.requestSize.observe(requestBytes);
    this.#histograms.responseSize.observe(responseBytes);
  }

  /** Counts one stream that is over; how long it lived is no latency. */
  count(httpStatus: number, grpcCode: number, label?: string): void {
    if (label !== undefined) {
      this.#countBusiness(httpStatus, label);
      return;
    }
    const key = httpStatus * 64 + (isDefined(grpcCode) ? grpcCode : Code.UNAUTHENTICATED + 1);
    this.#requests ??= new Map();
    let requests = this.#requests.get(key);
    if (requests === undefined) {
      requests = this.#series.requests.child(
        this.#route,
        this.#method,
        String(httpStatus),
        codeLabel(grpcCode),
        this.#service,
      );
      this.#requests.set(key, requests);
    }
    requests.inc();
  }

  #countBusiness(httpStatus: number, label: string): void {
    const key = `${httpStatus} ${label}`;
    this.#business ??= new Map();
    let requests = this.#business.get(key);
    if (requests === undefined) {
      requests = this.#series.requests.child(
        this.#route,
        this.#method,
        String(httpStatus),
        label,
        this.#service,
      );
      this.#business.set(key, requests);
    }
    requests.inc();
  }

  #makeHistograms(): RouteHistograms {
    const { duration, requestSize, responseSize } = this.#series;
    return {
      duration: duration.child(this.#route, this.#method),
      requestSize: requestSize.child(this.#route, this.#method),
      responseSize: responseSize.child(this.#route, this.#method),
    };
  }
}

function isDefined(grpcCode: number): boolean {
  return Number.isInteger(grpcCode) && grpcCode >= 0 && grpcCode <= Code.UNAUTHENTICATED;
}
