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

function unit(ours: string, ...theirs: string[]): [string, string][] {
  return theirs.map(each => [each, ours]);
}

/** The size that `1MB`, `1 mib` or `512 bytes` stands for most likely: `1MiB`. Undefined where none is obvious. */
export function respelledSize(text: string): string | undefined {
  const { amount, unit } = parts(text) ?? {};
  const ours = sizeUnits.get(unit ?? "");
  return amount === undefined || ours === undefined || !Number.isSafeInteger(amount)
    ? undefined
    : `${amount}${ours}`;
}

/** The duration that `5 s`, `5sec`, `1d` or `1.5s` stands for: `1500ms`. Undefined where none is obvious. */
export function respelledDuration(text: string): string | undefined {
  const { amount, unit } = parts(text) ?? {};
  if (amount === undefined || unit === undefined) return undefined;
  if (Number.isSafeInteger(amount) && /^(d|days?)$/.test(unit)) return `${amount * 24}h`;
  const ours = durationUnits.get(unit);
  if (ours === undefined) return undefined;
  if (Number.isSafeInteger(amount)) return `${amount}${ours}`;
  return ours === "s" && Number.isSafeInteger(amount * 1000) ? `${amount * 1000}ms` : undefined;
}

function parts(text: string): { readonly amount: number; readonly unit: string } | undefined {
  const [, digits, unit] = /^\s*(\d{1,12}(?:\.\d{1,3})?)\s*([A-Za-z]{1,12})\s*$/.exec(text) ?? [];
  return digits === undefined || unit === undefined
    ? undefined
    : { amount: Number(digits), unit: unit.toLowerCase() };
}
