import fc from "fast-check";

/** ProtoJSON values of each scalar kind, in every form that the specification accepts, limits more often than chance. */
export const SCALARS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  double: fc.oneof(fc.double(), fc.constantFrom(0, -0, 5e-324, 1.7976931348623157e308)).map(specialAsText),
  float: fc.oneof(fc.float(), fc.constantFrom(0.1, 16777216, 3.4028234663852886e38)).map(specialAsText),
  int32: integers(-(2n ** 31n), 2n ** 31n - 1n),
  sint32: integers(-(2n ** 31n), 2n ** 31n - 1n),
  sfixed32: integers(-(2n ** 31n), 2n ** 31n - 1n),
  uint32: integers(0n, 2n ** 32n - 1n),
  fixed32: integers(0n, 2n ** 32n - 1n),
  int64: integers(-(2n ** 63n), 2n ** 63n - 1n),
  sint64: integers(-(2n ** 63n), 2n ** 63n - 1n),
  sfixed64: integers(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: integers(0n, 2n ** 64n - 1n),
  fixed64: integers(0n, 2n ** 64n - 1n),
  bool: fc.boolean(),
  string: fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.string({ minLength: 120, maxLength: 300 }),
  ),
  bytes: fc.uint8Array({ maxLength: 40 }).chain(bytes => {
    const buffer = Buffer.from(bytes);
    return fc.constantFrom(buffer.toString("base64"), buffer.toString("base64url"));
  }),
};

const COLOR = fc.constantFrom<unknown>("BLACK", "RED", "GREEN", "NEGATIVE", 0, 1, -1, 77);

const SECONDS = fc.integer({ min: -62135596800, max: 253402300799 });
const NANOS = fc.constantFrom("", ".5", ".25", ".000001", ".123456789");
const TIMESTAMP = fc
  .tuple(SECONDS, NANOS)
  .map(([seconds, nanos]) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, `${nanos}Z`));
const DURATION = fc
  .tuple(fc.integer({ min: -315576000000, max: 315576000000 }), NANOS)
  .map(([seconds, nanos]) => `${seconds}${nanos}s`);
const MASK = fc
  .array(fc.stringMatching(/^[a-z]{1,3}([A-Z][a-z]{1,3}){0,2}(\.[a-z]{1,3})?$/), { maxLength: 3 })
  .map(paths => paths.join());
const JSON_VALUE = fc.jsonValue({ maxDepth: 3 });
const STRUCT = fc.dictionary(memberNames(), JSON_VALUE, { maxKeys: 3 });

/** Objects that fit `three.All`. */
export const ALL: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ all: Record<string, unknown> }>(tie => {
  const nested = tie("all");
  const record = (members: Record<string, fc.Arbitrary<unknown>>) => fc.record(members, { requiredKeys: [] });
  const each = (prefix: string, wrap: (value: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>) =>
    record(
      Object.fromEntries(Object.entries(SCALARS).map(([kind, value]) => [`${prefix}_${kind}`, wrap(value)])),
    );
  const list = (value: fc.Arbitrary<unknown>) => fc.array(value, { maxLength: 4 });
  const map = (value: fc.Arbitrary<unknown>) => fc.dictionary(memberNames(), value, { maxKeys: 3 });
  const keys = record(
    Object.fromEntries(
      Object.entries(SCALARS)
        .filter(([kind]) => !["double", "float", "bytes"].includes(kind))
        .map(([kind]) => [`k_${kind}`, fc.dictionary(mapKeys(kind), fc.string(), { maxKeys: 3 })]),
    ),
  );
  const choice = fc.oneof(
    fc.constant({}),
    fc.record({ cInt32: SCALARS.int32! }),
    fc.record({ c_string: SCALARS.string! }),
    fc.record({ cColor: COLOR }),
    fc.record({ cBytes: SCALARS.bytes! }),
    fc.constant({ cNull: null }),
  );
  const wellKnown = record({
    fColor: COLOR,
    oColor: COLOR,
    rColor: list(COLOR),
    mColor: map(COLOR),
    unpacked: list(SCALARS.int32!),
    "Other Name": fc.string(),
    timestamp: TIMESTAMP,
    duration: DURATION,
    mask: MASK,
    struct: STRUCT,
    value: JSON_VALUE,
    list: list(JSON_VALUE),
    empty: fc.constant({}),
    null: fc.constant(null),
    any: fc.oneof(
      TIMESTAMP.map(value => ({ "@type": "x/google.protobuf.Timestamp", value })),
      fc.string().map(login => ({ "@type": "type.googleapis.com/three.Author", login })),
      fc.constant({}),
    ),
    wDouble: SCALARS.double!,
    wFloat: SCALARS.float!,
    wInt64: SCALARS.int64!,
    wUint64: SCALARS.uint64!,
    wInt32: SCALARS.int32!,
    wUint32: SCALARS.uint32!,
    wBool: SCALARS.bool!,
    wString: SCALARS.string!,
    wBytes: SCALARS.bytes!,
    rTimestamp: list(TIMESTAMP),
    rValue: list(JSON_VALUE),
    rWrapper: list(SCALARS.int64!),
    mValue: map(JSON_VALUE),
    mTimestamp: map(TIMESTAMP),
  });
  const recursive = fc.oneof(
    { maxDepth: 2, depthIdentifier: "all" },
    fc.constant({}),
    record({
      fAll: nested,
      rAll: fc.array(nested, { maxLength: 2 }),
      mAll: fc.dictionary(memberNames(), nested, { maxKeys: 2 }),
    }),
  );
  const parts = [
    each("f", v => v),
    each("o", v => v),
    each("r", list),
    each("m", map),
    keys,
    choice,
    wellKnown,
  ];
  return {
    all: fc
      .tuple(fc.tuple(...parts.map(part => fc.option(part, { nil: {} }))), recursive)
      .map(([flat, deep]) => Object.assign({}, ...flat, deep) as Record<string, unknown>),
  };
}).all;

/** `__proto__` is left out: the reference reads plain objects, where it is no ordinary key. */
function memberNames(): fc.Arbitrary<string> {
  return fc
    .oneof(fc.string({ maxLength: 8 }), fc.constantFrom("", "constructor", "a.b", "@type", "é"))
    .filter(name => name !== "__proto__");
}

function mapKeys(kind: string): fc.Arbitrary<string> {
  if (kind === "bool") return fc.constantFrom("true", "false");
  if (kind === "string") return memberNames();
  const unsigned = kind.startsWith("u") || kind.startsWith("fixed");
  const bits = kind.endsWith("64") ? 64n : 32n;
  const least = unsigned ? 0n : -(2n ** (bits - 1n));
  return fc.bigInt(least, least + 2n ** bits - 1n).map(String);
}

function integers(least: bigint, most: bigint): fc.Arbitrary<unknown> {
  const all = fc.oneof(fc.bigInt(least, most), fc.constantFrom(least, most, 0n, 1n));
  return fc.tuple(all, fc.boolean()).map(([value, text]) => {
    const number = Number(value);
    return text || !Number.isSafeInteger(number) ? String(value) : number;
  });
}

function specialAsText(value: number): unknown {
  return Number.isFinite(value) ? value : String(value);
}
