import { readHostPattern } from "../net/host-table.js";
import { isNetwork } from "../net/networks.js";
import { isHost, parseAddress } from "./address.js";

/** How the text of a scalar is checked and read. */
export interface Format {
  /** The expected value, to follow "expected". */
  readonly expected: string;
  /** The same as a regular expression of JSON Schema, as close as one comes. */
  readonly pattern: string | undefined;
  /** The loaded value; undefined where the text does not fit. */
  read(text: string): string | number | undefined;
  /** True where the text names a file or folder, made absolute by the configuration's folder. */
  isPath?(text: string): boolean;
  /** Hidden from operators of a running gateway, or always, messages about the file included. */
  readonly secret?: "operators" | "always";
  /** The most likely correction of a text that does not fit; the caller checks that it does. */
  suggest?(text: string): string | undefined;
}

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const bytes: Readonly<Record<string, number>> = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A number and its unit, as one integer; undefined where unit or digits are not as expected. */
function measure(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,12})([A-Za-z]*)$/.exec(text) ?? [];
  const factor = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
  return factor === undefined ? undefined : Number(digits) * factor;
}

function matching(pattern: string, expected: string, change?: (text: string) => string): Format {
  const regexp = new RegExp(pattern);
  return {
    expected,
    pattern,
    read: text => (regexp.test(text) ? (change?.(text) ?? text) : undefined),
  };
}

function isFilePath(text: string): boolean {
  return !/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text) && !text.includes("\0");
}

function isWebUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol);
}

function readInstant(text: string): number | undefined {
  const [, date, time] =
    /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text) ?? [];
  const milliseconds = Date.parse(`${date}${time ?? "T00:00:00Z"}`);
  // Date.parse takes 31 February for 3 March.
  const day = Date.parse(`${date}T00:00:00Z`);
  const exists = !Number.isNaN(day) && new Date(day).toISOString().startsWith(`${date}`);
  return exists && !Number.isNaN(milliseconds) ? milliseconds : undefined;
}

const identifier = "[A-Za-z_][A-Za-z0-9_]*";

const formats = {
  any: { expected: "a string", pattern: undefined, read: text => text },
  nonempty: matching("^.", "a string that is not empty"),
  secret: { ...matching("^.", "a string that is not empty"), secret: "always" },
  duration: {
    expected: "a duration such as 250ms, 5s, 10m or 1h",
    pattern: "^[0-9]{1,12}(ms|s|m|h)$",
    read: text => measure(text, milliseconds),
    suggest: suggestedDuration,
  },
  size: {
    expected: "a size such as 64KiB, 4MiB or a number of bytes",
    pattern: "^[0-9]{1,12}(KiB|MiB|GiB)?$",
    read: text => measure(text, bytes),
    suggest: suggestedSize,
  },
  address: {
    expected: "an address such as 0.0.0.0:8080, [::1]:8080 or :8080",
    pattern: "^.*:[0-9]{1,5}$",
    read: text => (parseAddress(text) === undefined ? undefined : text),
  },
  /** Checked with its upstream: the form of a target depends on the protocol. */
  target: {
    expected: "a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path",
    pattern: undefined,
    read: text => text,
  },
  host: {
    expected: "a host name or an IP address",
    pattern: undefined,
    read: text => (isHost(text) ? text : undefined),
  },
  network: {
    expected: "an IP address, or a network such as 10.0.0.0/8",
    pattern: "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
    read: text => (isNetwork(text) ? text : undefined),
  },
  listenerName: matching("^[A-Za-z][A-Za-z0-9_-]{0,62}$", "a name of letters, digits, - and _"),
  hostPattern: {
    expected: "a host name such as api.example.com, *.example.com, an IP address ([::1] in brackets) or *",
    pattern: "^[A-Za-z0-9*\\[][A-Za-z0-9_.:\\]-]*$",
    read: readHostPattern,
  },
  path: { ...matching("^[^\\u0000]+$", "the path of a file or folder"), isPath: () => true },
  /** Of a private key. */
  keyPath: {
    ...matching("^[^\\u0000]+$", "the path of a file or folder"),
    isPath: () => true,
    secret: "operators",
  },
  pathOrUrl: {
    expected: "the path of a file, or a URL with http or https",
    pattern: "^[^\\u0000]+$",
    read: text => (isFilePath(text) || isWebUrl(text) ? text : undefined),
    isPath: isFilePath,
  },
  webUrl: {
    expected: "a URL with http or https",
    pattern: "^[Hh][Tt][Tt][Pp][Ss]?://",
    read: text => (isWebUrl(text) ? text : undefined),
  },
  pathOrPem: {
    ...matching("^[^\\u0000]+$", "the path of a PEM file, or PEM itself"),
    isPath: text => !text.includes("-----BEGIN "),
  },
  /** Milliseconds since 1970. */
  instant: {
    expected: "a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2}))?$",
    read: readInstant,
  },
  sha256: matching("^sha256:[0-9A-Fa-f]{64}$", 'a hash, "sha256:" and 64 hexadecimal digits', text =>
    text.toLowerCase(),
  ),
  /** RFC 9110 §5.6.2, RFC 6265 §4.1.1: authentication schemes and cookies. */
  token: matching("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", "a name of letters, digits and !#$%&'*+.^_`|~-"),
  rpcMethod: matching(
    `^${identifier}(\\.${identifier})*/${identifier}$`,
    "a method such as package.Service/Method",
  ),
  servicePattern: matching(
    `^${identifier}(\\.${identifier})*(\\.\\*\\*)?$`,
    "a full name such as package.Service, or package.** for all services of a package",
  ),
  fullName: matching(`^${identifier}(\\.${identifier})*$`, "a full name such as package.Service"),
  methodName: {
    ...matching(`^${identifier}(\\.${identifier})*$`, "a full name such as package.Service.Method"),
    suggest: text => text.replace(/^\//, "").replace("/", "."),
  },
  prefix: matching(
    "^((/[A-Za-z0-9._~@!$&'()+,;=-]+)+)?$",
    'a path such as /blog, without "/" at its end and without variables',
  ),
  /** The root as an empty text, so that paths below can be appended. */
  mount: matching(
    "^(/|(/[A-Za-z0-9._~@!$&'()+,;=-]+)*)$",
    'a path such as /chat, without "/" at its end and without variables; "/" or "" for the root',
    text => (text === "/" ? "" : text),
  ),
  servicePrefix: matching(
    "^((/([A-Za-z0-9._~@!$&'()+,;=-]+|\\{package\\}))+)?$",
    'a path such as /blog or /{package}, without "/" at its end and without other variables',
  ),
  template: matching("^/", "a path template that begins with /, such as /v1/{name=messages/*}"),
  httpMethod: matching("^(\\*|[A-Z]{1,32})$", "an HTTP method in capitals, such as HEAD"),
  field: matching(`^${identifier}$`, "the name of a top-level field"),
  body: matching(`^(\\*|${identifier})?$`, 'the name of a top-level field, or "*" for all'),
  headerGlob: matching(
    "^(?=.{1,128}$)[A-Za-z0-9_.-]*\\*?[A-Za-z0-9_.-]*$",
    "a header name of letters, digits, -, _ and ., or such a name with one *",
    text => text.toLowerCase(),
  ),
  header: matching("^[A-Za-z0-9_.-]{1,128}$", "a header name of letters, digits, -, _ and .", text =>
    text.toLowerCase(),
  ),
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

/** The table of formats that schema nodes name in `format`. */
export const Formats: Readonly<Record<FormatName, Format>> = formats;

/** Units as people write them elsewhere, in lower case, with the one of this configuration. */
const sizeUnits: ReadonlyMap<string, string> = new Map([
  ...unit("", "b", "byte", "bytes"),
  ...unit("KiB", "k", "kb", "kib"),
  ...unit("MiB", "m", "mb", "mib"),
  ...unit("GiB", "g", "gb", "gib"),
]);
const durationUnits: ReadonlyMap<string, string> = new Map([
  ...unit("ms", "ms", "msec", "msecs", "millis", "millisecond", "milliseconds"),
  ...unit("s", "s", "sec", "secs", "second", "seconds"),
  ...unit("m", "m", "min", "mins", "minute", "minutes"),
  ...unit("h", "h", "hr", "hrs", "hour", "hours"),
]);

function unit(canonical: string, ...spellings: string[]): [string, string][] {
  return spellings.map(each => [each, canonical]);
}

/** The size that `1MB`, `1 mib` or `512 bytes` stands for most likely: `1MiB`. Undefined where none is obvious. */
function suggestedSize(text: string): string | undefined {
  const { amount, unit } = parts(text) ?? {};
  const canonical = sizeUnits.get(unit ?? "");
  return amount === undefined || canonical === undefined || !Number.isSafeInteger(amount)
    ? undefined
    : `${amount}${canonical}`;
}

/** The duration that `5 s`, `5sec`, `1d` or `1.5s` stands for: `1500ms`. Undefined where none is obvious. */
function suggestedDuration(text: string): string | undefined {
  const { amount, unit } = parts(text) ?? {};
  if (amount === undefined || unit === undefined) return undefined;
  if (Number.isSafeInteger(amount) && /^(d|days?)$/.test(unit)) return `${amount * 24}h`;
  const canonical = durationUnits.get(unit);
  if (canonical === undefined) return undefined;
  if (Number.isSafeInteger(amount)) return `${amount}${canonical}`;
  return canonical === "s" && Number.isSafeInteger(amount * 1000) ? `${amount * 1000}ms` : undefined;
}

function parts(text: string): { readonly amount: number; readonly unit: string } | undefined {
  const [, digits, unit] = /^\s*(\d{1,12}(?:\.\d{1,3})?)\s*([A-Za-z]{1,12})\s*$/.exec(text) ?? [];
  return digits === undefined || unit === undefined
    ? undefined
    : { amount: Number(digits), unit: unit.toLowerCase() };
}
