import { createHash } from "node:crypto";
import { int, len, tag, varint } from "./wire-bytes.js";

/** An input that is made to cost as much as its size allows. */
export interface HostileInput {
  readonly title: string;
  /** Message type of the schema. */
  readonly type: string;
  /** The input with at most so many bytes. */
  readonly make: (bytes: number) => Buffer;
}

/** Elements for lists: each is repeated as often as the size allows. */
const ELEMENTS: readonly (readonly [field: string, element: string])[] = [
  ["rInt32", "0"],
  ["rInt32", '"0"'],
  ["rInt32", "1e0"],
  ["rInt32", "1.0"],
  ["rInt32", "-0"],
  ["rInt32", '"1e1"'],
  ["rInt64", "1e18"],
  ["rInt64", '"1e18"'],
  ["rInt64", "0"],
  ["rInt64", "1234567890123456"],
  ["rInt64", "9223372036854775807"],
  ["rInt64", "-9223372036854775808"],
  ["rInt64", `1.${"0".repeat(900)}`],
  ["rInt64", `0.${"0".repeat(900)}1e901`],
  ["rInt64", "1e-0"],
  ["rUint64", "18446744073709551615"],
  ["rSint64", "9007199254740993"],
  ["rSint64", "1e18"],
  ["rSint64", "0"],
  ["rFixed64", "1e18"],
  ["rFixed64", "9007199254740993"],
  ["rSfixed64", '"1e18"'],
  ["rFixed32", "1e9"],
  ["rSint32", "1e1"],
  ["rDouble", "0"],
  ["rDouble", "1e5"],
  ["rDouble", '"1e5"'],
  ["rDouble", "1.5"],
  ["rDouble", "1.0"],
  ["rDouble", "0.12345678901234567"],
  ["rDouble", `0.${"1".repeat(900)}`],
  ["rDouble", "1e-320"],
  ["rDouble", '"NaN"'],
  ["rDouble", '"Infinity"'],
  ["rFloat", "1e5"],
  ["rFloat", "0.1"],
  ["rBool", "true"],
  ["rBool", "false"],
  ["rColor", '"RED"'],
  ["rColor", "1"],
  ["rColor", "1e0"],
  ["rColor", "77"],
  ["rString", '""'],
  ["rString", '"a"'],
  ["rString", '"\\n"'],
  ["rString", '"\\u00e9"'],
  ["rString", '"é"'],
  ["rString", '"\\ud83d\\ude00"'],
  ["rString", `"${"a".repeat(60)}"`],
  ["rString", `"${"\\n".repeat(60)}"`],
  ["rString", `"${"é".repeat(60)}"`],
  ["rBytes", '""'],
  ["rBytes", '"AA=="'],
  ["rBytes", '"AAA"'],
  ["rBytes", '"AA"'],
  ["rBytes", `"${"A".repeat(60)}"`],
  ["rAll", "{}"],
  ["rAll", '{"fInt32":1}'],
  ["rAll", '{"fAll":{}}'],
  ["rAll", '{"rAll":[]}'],
  ["rAll", '{"mInt32":{}}'],
  ["rAll", '{"mInt32":{"":1}}'],
  ["rAll", '{"cInt32":1}'],
  ["rAll", '{"cNull":null}'],
  ["rAll", '{"mask":"a"}'],
  ["rAll", '{"mask":""}'],
  ["rAll", '{"mask":"A,A,A,A"}'],
  ["rAll", '{"duration":"1s"}'],
  ["rAll", '{"duration":"-315576000000.999999999s"}'],
  ["rAll", '{"timestamp":"2006-01-02T15:04:05Z"}'],
  ["rAll", '{"any":{}}'],
  ["rAll", '{"empty":{}}'],
  ["rAll", '{"struct":{}}'],
  ["rAll", '{"value":{}}'],
  ["rAll", '{"value":null}'],
  ["rAll", '{"list":[]}'],
  ["rAll", '{"wInt64":"1e18"}'],
  ["rAll", '{"wBytes":""}'],
  ["rAll", '{"hostile":""}'],
  ["rAll", '{"f_int32":1}'],
  ["rAll", '{"oInt32":null}'],
  ["rTimestamp", '"2006-01-02T15:04:05Z"'],
  ["rTimestamp", '"2006-01-02T15:04:05.123456789Z"'],
  ["rTimestamp", '"2006-01-02T15:04:05+01:00"'],
  ["rTimestamp", '"2006-01-02T15:04:05.1-23:59"'],
  ["rValue", "0"],
  ["rValue", "1e5"],
  ["rValue", "null"],
  ["rValue", "true"],
  ["rValue", '""'],
  ["rValue", "[]"],
  ["rValue", "{}"],
  ["rValue", "[[]]"],
  ["rValue", '{"":0}'],
  ["rValue", '{"":{}}'],
  ["rValue", '{"a":1e5,"b":[]}'],
  ["rWrapper", "0"],
  ["rWrapper", "1e18"],
  ["rWrapper", '"1e18"'],
  ["rAny", "{}"],
  ["rAny", '{"@type":"/three.All"}'],
  ["rAny", '{"@type":"/three.All","fInt32":1}'],
  ["rAny", '{"@type":"/x","value":""}'],
  ["rAny", '{"@type":"/x","value":"AA=="}'],
  ["rAny", '{"@type":"/google.protobuf.Value","value":0}'],
  ["rAny", '{"@type":"/google.protobuf.Empty","value":{}}'],
  ["rAny", '{"@type":"/google.protobuf.Any","value":{}}'],
  ["rAny", '{"@type":"/google.protobuf.Duration","value":"1s"}'],
  ["rAny", `{"@type":"/three.All","rInt32":[${"1,".repeat(99)}1]}`],
];

/** Values for maps: each under a key of its own. */
const ENTRIES: readonly (readonly [field: string, value: string])[] = [
  ["mInt32", "0"],
  ["mInt32", "1e0"],
  ["mInt64", "1e18"],
  ["mInt64", '"1e18"'],
  ["mDouble", "1e5"],
  ["mBool", "true"],
  ["mString", '""'],
  ["mBytes", '"AA=="'],
  ["mColor", '"RED"'],
  ["mColor", "1e0"],
  ["mAll", "{}"],
  ["mValue", "null"],
  ["mValue", "{}"],
  ["mTimestamp", '"2006-01-02T15:04:05+01:00"'],
  ["kString", '""'],
  ["struct", "0"],
  ["struct", "{}"],
  ["value", "0"],
];

const INTEGER_KEYS = ["kInt32", "kInt64", "kUint32", "kUint64", "kSint64", "kFixed64", "kSfixed32"];

/** Tails that let the whole text be read before it is found wrong, which makes the tree read it once more. */
const TAILS: readonly (readonly [title: string, tail: string])[] = [
  ["", "}"],
  [" and then an unknown field", ',"unknownField":1}'],
];

function repeated(head: string, element: (index: number) => string, foot: string, bytes: number): Buffer {
  const pieces: string[] = [];
  let room = bytes - head.length - foot.length;
  for (let index = 0; ; index++) {
    const piece = `${index === 0 ? "" : ","}${element(index)}`;
    room -= Buffer.byteLength(piece);
    if (room < 0) break;
    pieces.push(piece);
  }
  return Buffer.from(`${head}${pieces.join("")}${foot}`);
}

/** JSON texts that are made to be dear to read. */
export const HOSTILE_TEXTS: readonly HostileInput[] = [
  ...TAILS.flatMap(([after, tail]) => [
    ...ELEMENTS.map(([field, element]) => ({
      title: `${field} of ${element.length > 70 ? `${element.slice(0, 50)}…` : element}${after}`,
      type: "three.All",
      make: (bytes: number) => repeated(`{"${field}":[`, () => element, `]${tail}`, bytes),
    })),
    ...ENTRIES.flatMap(([field, value]) =>
      (["short", "long", "hashed"] as const).map(kind => ({
        title: `${field} of ${kind} keys with ${value}${after}`,
        type: "three.All",
        make: (bytes: number) =>
          repeated(`{"${field}":{`, index => `"${keyOf(kind, index)}":${value}`, `}${tail}`, bytes),
      })),
    ),
    ...INTEGER_KEYS.flatMap(field =>
      ([1, 4093, 65_537] as const).map(step => ({
        title: `${field} of every ${step}th key${after}`,
        type: "three.All",
        make: (bytes: number) =>
          repeated(`{"${field}":{`, index => `"${(index * step) % 0x7fff_ffff}":""`, `}${tail}`, bytes),
      })),
    ),
    ...(
      [
        ["rInt32", "[1"],
        ["fAll", '{"fAll":'],
        ["value", "["],
        ["value", '{"":'],
        ["any", '{"@type":"/google.protobuf.Any","value":'],
        ["any", '{"@type":"/three.All","any":'],
        ["any", '{"@type":"/three.All","fAll":{"any":'],
      ] as const
    ).flatMap(([field, open]) => nestings(field, open, after, tail)),
    {
      title: `a long string of escapes${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"fString":"${"\\n".repeat((bytes - 60) / 2)}"${tail}`),
    },
    {
      title: `a long string of escaped surrogates${after}`,
      type: "three.All",
      make: (bytes: number) =>
        Buffer.from(`{"fString":"${"\\ud83d\\ude00".repeat((bytes - 60) / 12)}"${tail}`),
    },
    {
      title: `long bytes${after}`,
      type: "three.All",
      make: (bytes: number) =>
        Buffer.from(`{"fBytes":"${"A".repeat(Math.floor((bytes - 60) / 4) * 4)}"${tail}`),
    },
    {
      title: `a mask of capitals${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"mask":"${"A".repeat(bytes - 60)}"${tail}`),
    },
    {
      title: `a mask of many paths${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"mask":"${"a,".repeat((bytes - 60) / 2)}a"${tail}`),
    },
    {
      title: `a mask of stars${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"mask":"${"*.".repeat((bytes - 60) / 2)}a"${tail}`),
    },
    {
      title: `white space${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"fInt32":${"\n".repeat(bytes - 60)}1${tail}`),
    },
    {
      title: `non-ASCII text${after}`,
      type: "three.All",
      make: (bytes: number) => Buffer.from(`{"fString":"${"é".repeat((bytes - 60) / 2)}"${tail}`),
    },
  ]),
  {
    title: "unknown members of one object",
    type: "three.All",
    make: bytes => repeated("{", index => `"${index.toString(36)}":0`, "}", bytes),
  },
  {
    title: "a list of lists of one",
    type: "three.All",
    make: bytes => repeated('{"rValue":[', () => "[[[[1]]]]", "]}", bytes),
  },
];

function keyOf(kind: "short" | "long" | "hashed", index: number): string {
  if (kind === "short") return index.toString(36);
  if (kind === "hashed") return createHash("sha1").update(String(index)).digest("hex").slice(0, 8);
  return `${index.toString(36)}${"k".repeat(120)}`;
}

/** Many chains as deep as the policy allows. */
function nestings(field: string, open: string, after: string, tail: string): HostileInput[] {
  if (open === "[1") return [];
  const closing = [...open]
    .filter(char => char === "[" || char === "{")
    .map(char => (char === "[" ? "]" : "}"));
  const close = closing.join("");
  const depth = field === "fAll" ? 96 : Math.floor(96 / closing.length);
  const leaf = open.endsWith("[")
    ? ""
    : open.includes('fAll":') && field === "fAll"
      ? "{}"
      : open.includes("@type")
        ? "{}"
        : "0";
  const chain = open.repeat(depth) + leaf + close.repeat(depth);
  const list = field === "fAll" ? "rAll" : field === "value" ? "rValue" : "rAny";
  return [
    {
      title: `${list} of ${open} nested ${depth} deep${after}`,
      type: "three.All",
      make: bytes => repeated(`{"${list}":[`, () => chain, `]${tail}`, bytes),
    },
  ];
}

const ALL_LIST = 57;

/** A length-delimited field whose content is a piece again and again. */
function packed(number: number, piece: readonly number[], bytes: number): Buffer {
  const count = Math.floor((bytes - 12) / piece.length);
  const content = Buffer.alloc(count * piece.length, Buffer.from(piece));
  return Buffer.concat([Buffer.from([...tag(number, 2), ...varint(content.length)]), content]);
}

function pieces(piece: readonly number[], bytes: number): Buffer {
  const count = Math.floor((bytes - 12) / piece.length);
  return Buffer.alloc(count * piece.length, Buffer.from(piece));
}

const PACKED: readonly (readonly [title: string, number: number, piece: readonly number[]])[] = [
  ["doubles of 0", 41, [0, 0, 0, 0, 0, 0, 0, 0]],
  ["doubles of 0.1", 41, [...new Uint8Array(Float64Array.of(0.1 + 0.2).buffer)]],
  ["doubles of 5e-324", 41, [1, 0, 0, 0, 0, 0, 0, 0]],
  ["floats of 0.1", 42, [...new Uint8Array(Float32Array.of(0.1).buffer)]],
  ["floats of 1.1754942e-38", 42, [255, 255, 127, 0]],
  ["int32 of 0", 43, [0]],
  ["int32 of -1", 43, [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
  ["int64 of 0", 44, [0]],
  ["int64 of the least", 44, [128, 128, 128, 128, 128, 128, 128, 128, 128, 1]],
  ["uint32 of 0", 45, [0]],
  ["uint64 of 0", 46, [0]],
  ["sint32 of 0", 47, [0]],
  ["sint64 of 0", 48, [0]],
  ["sint64 of the least", 48, [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
  ["fixed32 of 0", 49, [0, 0, 0, 0]],
  ["fixed64 of the most", 50, [255, 255, 255, 255, 255, 255, 255, 255]],
  ["sfixed64 of the least", 52, [0, 0, 0, 0, 0, 0, 0, 128]],
  ["bool", 53, [1]],
  ["enum by name", 56, [1]],
  ["enum unknown", 56, [77]],
];

const PIECES: readonly (readonly [title: string, piece: readonly number[]])[] = [
  ["strings, empty", len(54, "")],
  ["strings, short", len(54, "a")],
  ["strings with an escape", len(54, "\n")],
  ["strings that are not ASCII", len(54, "é")],
  ["strings, long with escapes", len(54, "\n".repeat(100))],
  ["bytes, empty", len(55, "")],
  ["bytes, short", len(55, "a")],
  ["messages, empty", len(ALL_LIST, [])],
  ["messages with an int32", len(ALL_LIST, int(3, 1))],
  ["messages with a field twice", len(ALL_LIST, [...int(3, 1), ...int(3, 2)])],
  ["messages with a message in pieces", len(ALL_LIST, [...len(17, []), ...len(17, [])])],
  ["messages with a oneof twice", len(ALL_LIST, [...int(101, 1), ...len(102, "")])],
  ["messages with a message", len(ALL_LIST, len(17, []))],
  ["messages with a mask", len(ALL_LIST, len(203, len(1, "a")))],
  ["messages with a duration", len(ALL_LIST, len(202, int(1, 1)))],
  ["messages with an Any", len(ALL_LIST, len(207, len(1, "/x")))],
  ["messages with an empty map", len(ALL_LIST, len(63, []))],
  ["messages with a Struct", len(ALL_LIST, len(204, []))],
  ["messages with a wrapper", len(ALL_LIST, len(213, []))],
  ["unpacked int32", int(58, 1)],
  ["timestamps, empty", len(221, [])],
  ["timestamps", len(221, [...int(1, 1_700_000_000), ...int(2, 123_456_789)])],
  ["Values, null", len(222, int(1, 0))],
  ["Values, empty", len(222, [])],
  ["Values, numbers", len(222, [...tag(2, 1), 0, 0, 0, 0, 0, 0, 240, 63])],
  ["Values, strings", len(222, len(3, ""))],
  ["Values, structs", len(222, len(5, []))],
  ["Values, structs with a member", len(222, len(5, len(1, [])))],
  ["Values, lists", len(222, len(6, []))],
  ["Values, lists of lists", len(222, len(6, len(1, len(6, len(1, [])))))],
  ["wrappers, empty", len(223, [])],
  ["wrappers", len(223, int(1, 1))],
  ["Any, empty", len(224, [])],
  ["Any of no type", len(224, len(2, "a"))],
  ["Any of an unknown type", len(224, [...len(1, "/x"), ...len(2, "a")])],
  ["Any of a message", len(224, [...len(1, "/three.All"), ...len(2, [])])],
  ["Any of a message with an int32", len(224, [...len(1, "/three.All"), ...len(2, int(3, 1))])],
  ["Any of an Any", len(224, [...len(1, "/google.protobuf.Any"), ...len(2, [])])],
  ["Any of a broken message", len(224, [...len(1, "/three.All"), ...len(2, [255])])],
  ["a message in pieces", len(17, [])],
  ["a message in pieces with an int32", len(17, int(3, 1))],
  ["a oneof's message in pieces", len(104, [])],
  ["a oneof again and again", [...int(101, 1), ...len(104, [])]],
  ["an int32 again and again", int(3, 1)],
  ["a string again and again", len(14, "a")],
  ["entries of one map, empty", len(63, [])],
  ["entries with the value first", len(63, [...int(2, 1), ...len(1, "a")])],
  ["unknown varints", int(999, 1)],
  ["unknown groups", [...tag(999, 3), ...tag(999, 4)]],
  ["unknown fields of lengths", len(999, "")],
];

/** A field that comes twice, which keeps a message from being printed in one pass. */
const TWICE = Buffer.from([...int(3, 1), ...int(3, 2)]);

/** Wire bytes that are made to be dear to print. */
export const HOSTILE_MESSAGES: readonly HostileInput[] = [
  ...(
    [
      ["", false],
      [" before a field that comes twice", true],
    ] as const
  ).flatMap(([after, twice]) => {
    const ended = (make: (bytes: number) => Buffer) => (bytes: number) =>
      twice ? Buffer.concat([make(bytes - TWICE.length), TWICE]) : make(bytes);
    return [
      ...PACKED.map(([title, number, piece]) => ({
        title: `packed ${title}${after}`,
        type: "three.All",
        make: ended(bytes => packed(number, piece, bytes)),
      })),
      ...PIECES.map(([title, piece]) => ({
        title: `${title}${after}`,
        type: "three.All",
        make: ended(bytes => pieces(piece, bytes)),
      })),
      {
        title: `a map of many keys${after}`,
        type: "three.All",
        make: ended(bytes => {
          const entries: Buffer[] = [];
          for (let index = 0, length = 0; length < bytes - 30; index++) {
            const entry = Buffer.from(len(63, [...len(1, index.toString(36)), ...int(2, 1)]));
            length += entry.length;
            entries.push(entry);
          }
          return Buffer.concat(entries);
        }),
      },
      {
        title: `long bytes${after}`,
        type: "three.All",
        make: ended(bytes => packed(15, [1], bytes)),
      },
      {
        title: `a long string${after}`,
        type: "three.All",
        make: ended(bytes => packed(14, [97], bytes)),
      },
      {
        title: `a long string of control characters${after}`,
        type: "three.All",
        make: ended(bytes => packed(14, [1], bytes)),
      },
      {
        title: `a mask of one long path${after}`,
        type: "three.All",
        make: ended(bytes => {
          const path = pieces([95, 97], bytes - 10);
          const inner = Buffer.concat([Buffer.from([...tag(1, 2), ...varint(path.length)]), path]);
          return Buffer.concat([Buffer.from([...tag(203, 2), ...varint(inner.length)]), inner]);
        }),
      },
    ];
  }),
  ...(
    [
      ["fields", 17, [] as number[]],
      ["Values in lists", 222, [] as number[]],
      ["Any", 224, [] as number[]],
    ] as const
  ).map(([title, number]) => ({
    title: `chains of ${title}`,
    type: "three.All",
    make: (bytes: number) => pieces(chain(title, number), bytes),
  })),
];

function chain(title: string, number: number): number[] {
  let inner: number[] = [];
  for (let level = 0; level < 45; level++) {
    if (title === "fields") inner = len(17, [...int(3, 1), ...inner]);
    else if (title === "Any") inner = [...len(1, "/google.protobuf.Any"), ...len(2, inner)];
    else inner = len(6, len(1, inner));
  }
  return len(title === "fields" ? ALL_LIST : number, inner);
}
