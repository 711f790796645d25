/** The messages of the bench, as ProtoJSON. */

const origin = Date.parse("2024-05-01T12:34:56.789Z");

export const smallRequest = { messageId: "123456", revision: "2", sub: { subfield: "foo" } };

export const smallReply = { text: "Hi there!", request: smallRequest };

/** About a kilobyte of JSON. */
export const message = {
  title: "Notes of the meeting in Zürich",
  text: "Every promise that an API makes is kept by somebody. ".repeat(10),
  labels: ["minutes", "draft", "2024", "to be reviewed"],
  priority: "PRIORITY_HIGH",
  authorId: "9007199254740993",
  pinned: true,
  attachments: [
    { name: "agenda.pdf", mediaType: "application/pdf", size: "182734" },
    { name: "whiteboard.jpg", mediaType: "image/jpeg", size: "2381734" },
  ],
  attributes: { project: "protogate", room: "4.12", language: "de" },
};

/** About 100 KiB of JSON. */
export const rows = {
  rows: Array.from({ length: 1000 }, (_, index) => ({
    id: String(9_000_000_000 + index * 7919),
    name: `Article number ${index}`,
    price: 9.95 + index / 4,
    quantity: (index % 97) + 1,
    available: true,
    priority: index % 3 === 0 ? "PRIORITY_HIGH" : "PRIORITY_LOW",
  })),
  nextPageToken: "cGFnZSAy",
};

/** Many 64-bit integers, doubles and timestamps. */
export const reading = {
  sensorId: "roof-7",
  sequence: "81723641",
  receivedBytes: "1099511627776",
  sentBytes: "281474976710656",
  uptimeNanos: "18446744073709551615",
  offsetNanos: "-1234567890123",
  temperature: 21.4375,
  humidity: 0.6180339887,
  pressure: 101325.25,
  voltage: 3.2999999523162842,
  latitude: 47.376887,
  longitude: 8.541694,
  installed: time(0),
  started: time(86_400_001),
  measured: time(90_000_123),
  received: time(90_000_456),
  counters: Array.from({ length: 40 }, (_, index) => String(BigInt(index + 1) * 123_456_789_012n)),
  samples: Array.from({ length: 40 }, (_, index) => Math.sqrt(index + 2) * 10),
  marks: Array.from({ length: 20 }, (_, index) => time(index * 61_001)),
  ranges: Array.from({ length: 10 }, (_, index) => ({
    lowest: -1.5 * (index + 1),
    highest: Math.PI * (index + 1),
    count: String(4_294_967_296 + index),
    since: time(index * 3_600_007),
    until: time(index * 3_600_007 + 1_800_003),
  })),
};

/** About 100 bytes of JSON. */
export const tick = { name: "EUR/CHF", sequence: "81723641", bid: 0.9731, ask: 0.97335, at: time(0) };

function time(milliseconds: number): string {
  return new Date(origin + milliseconds).toISOString();
}
