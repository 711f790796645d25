import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import { Type } from "../config/type-builder.js";
import { other } from "../telemetry/route-metrics.js";

const statusCodes = {
  description:
    "HTTP statuses of the backend's own codes: a code such as 5002, or a range such as 2000-2999. gRPC backends have those above 16, tRPC backends any number. A code that is not listed is 500.",
};
export const StatusCodesSchema = Type.Record(
  Type.String({ pattern: "^(-?[0-9]{1,10}|[0-9]{1,10}-[0-9]{1,10})$" }),
  Type.Integer({ minimum: 400, maximum: 599, description: "An HTTP status." }),
  { propertyNames: { description: "a code such as 5002, or a range such as 2000-2999" }, ...statusCodes },
);
/**
 * Ranges of one mapping may hold single codes, but not meet each other.
 * @param grpcCodes whether the codes are gRPC's, and those above them
 */
export function checkStatusCodes(
  at: Path,
  codes: Readonly<Record<string, unknown>> | undefined,
  grpcCodes: boolean,
  findings: Findings,
): void {
  const ranges: { readonly first: number; readonly last: number; readonly key: string }[] = [];
  for (const key of Object.keys(codes ?? {})) {
    const path = [...at, key];
    const { first, last } = codeRange(key);
    if (last < first) {
      findings.error(path, `"${key}" ends below its beginning; expected "${last}-${first}"`);
    } else if (grpcCodes && first <= largestGrpcCode) {
      findings.error(
        path,
        `"${key}" has codes that gRPC defines, whose statuses are fixed; expected codes from ${largestGrpcCode + 1}`,
      );
    } else if (last > largestCode || first < smallestCode) {
      const expected = last > largestCode ? `up to ${largestCode}` : `from ${smallestCode}`;
      findings.error(path, `"${key}" has codes that no backend can send; expected codes ${expected}`);
    } else if (first !== last) {
      const other = ranges.find(range => first <= range.last && range.first <= last);
      if (other !== undefined)
        findings.error(path, `"${key}" overlaps "${other.key}"; expected separate ranges`);
      ranges.push({ first, last, key });
    }
  }
}

/** `func_ret` of tRPC is of 32 bits and signed. */
const smallestCode = -(2 ** 31);

/** Largest value that `grpc-status` is read as: 32 bits. */
const largestCode = 2 ** 32 - 1;

/** `UNAUTHENTICATED`; larger codes are the backend's own. */
const largestGrpcCode = 16;

/** The codes that a key of `status_codes` names: `5002`, or `2000-2999` with both ends. */
function codeRange(key: string): { readonly first: number; readonly last: number } {
  const [, first = key, last = first] = /^([0-9]+)-([0-9]+)$/.exec(key) ?? [];
  return { first: Number(first), last: Number(last) };
}

interface Entry {
  readonly key: string;
  readonly first: number;
  readonly last: number;
  readonly status: number;
}

/** The codes of backends that the configuration lists (`status_codes`), one by one or as ranges. */
export class ListedCodes {
  readonly #entries: readonly Entry[];

  /** @param levels statuses by code or range; an earlier level beats a later one, within a level a code beats a range */
  constructor(levels: readonly Readonly<Record<string, number>>[]) {
    this.#entries = levels.flatMap(level =>
      Object.entries(level)
        .map(([key, status]) => ({ key, ...codeRange(key), status }))
        .sort((one, two) => one.last - one.first - (two.last - two.first)),
    );
  }

  /** The HTTP status of a code; undefined where it is not listed. */
  statusOf(code: number): number | undefined {
    return this.#find(code)?.status;
  }

  /** The label of a code in metrics: the entry as it is written, so that there are no more labels than entries. */
  labelOf(code: number): string {
    return this.#find(code)?.key ?? other;
  }

  #find(code: number): Entry | undefined {
    return this.#entries.find(({ first, last }) => first <= code && code <= last);
  }
}
