import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import { GatewayError } from "../../src/status/failure.js";
import { formReader } from "../../src/uploads/form-stream.js";
import { encodeForm, type FormLimits } from "../../src/uploads/forms.js";
import { decode, model, POLICY, type } from "../codec/schema.js";

const plan = new RequestPlan({
  input: type("three.All"),
  codecs: createCodecs(model, POLICY),
  variables: [],
  body: { kind: "all" },
  query: { unknown: "reject", ignore: new Set() },
  fillUpdateMask: false,
  depth: 100,
});
const limits: FormLimits = { parts: 10_000, file: 64 << 20, body: 64 << 20, text: 1 << 20 };
const multipart = "multipart/form-data; boundary=b";
const part = (name: string, content: string, more = "") =>
  `--b\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;
const form = (...parts: string[]): Buffer => Buffer.from(`${parts.join("")}--b--\r\n`);

/** Turns of the event loop that come to others while something is done. */
async function turnsDuring<T>(work: () => T | Promise<T>): Promise<{ turns: number; result: T }> {
  let turns = 0;
  let busy = true;
  const counting = (async () => {
    for (; busy; turns++) await turn();
  })();
  const result = await work();
  busy = false;
  await counting;
  return { turns, result };
}

const encode = (contentType: string, bytes: Buffer) =>
  encodeForm(plan, [], "", { contentType, bytes }, limits);

test("a multipart form of 10,000 parts is read in many turns of the event loop", async () => {
  const body = form(...Array.from({ length: 10_000 }, (_, index) => part("rInt32", String(index))));
  const { turns, result } = await turnsDuring(() => encode(multipart, body));
  assert.equal(JSON.parse(decode("three.All", result)).rInt32.length, 10_000);
  assert.ok(turns >= 10, `${turns} turns`);
});

test("10,000 files for one list are read in many turns, whatever came before", async () => {
  const body = form(...Array.from({ length: 10_000 }, () => part("rBytes", "x", '; filename="f"')));
  const { turns, result } = await turnsDuring(() => encode(multipart, body));
  assert.equal(JSON.parse(decode("three.All", result)).rBytes.length, 10_000);
  assert.ok(turns >= 10, `${turns} turns`);
});

test("a multipart form with a file of 32 MiB is read in many turns of the event loop", async () => {
  const content = Buffer.alloc(32 << 20, "0123456789\r\n--");
  const head = Buffer.from('--b\r\ncontent-disposition: form-data; name="fBytes"; filename="f"\r\n\r\n');
  const body = Buffer.concat([head, content, Buffer.from("\r\n--b--\r\n")]);
  const { turns, result } = await turnsDuring(() => encode(multipart, body));
  assert.ok(Buffer.from(result).subarray(-content.length).equals(content));
  assert.ok(turns >= 10, `${turns} turns`);
});

test("a urlencoded form of 10,000 fields is read in several turns of the event loop", async () => {
  const body = Buffer.from(Array.from({ length: 10_000 }, (_, index) => `rInt32=${index}`).join("&"));
  const { turns, result } = await turnsDuring(() => encode("application/x-www-form-urlencoded", body));
  assert.equal(JSON.parse(decode("three.All", result)).rInt32.length, 10_000);
  assert.ok(turns >= 5, `${turns} turns`);
});

test("large forms are read one after the other, and small ones between them at once", async () => {
  const large = form(...Array.from({ length: 5000 }, () => part("rString", "x")));
  const order: string[] = [];
  const note = async (name: string, bytes: Buffer): Promise<void> => {
    const message = encode(multipart, bytes);
    if (name === "small") assert.ok(message instanceof Uint8Array);
    await message;
    order.push(name);
  };
  await Promise.all([note("first", large), note("second", large), note("small", form(part("fInt32", "1")))]);
  assert.deepEqual(order, ["small", "first", "second"]);
});

test("a form that is refused in the middle leaves those behind it alone", async () => {
  const good = Array.from({ length: 5000 }, () => part("rString", "x"));
  const [bad, next] = await Promise.allSettled([
    encode(multipart, form(...good, part("fInt32", "x"))),
    encode(multipart, form(...good)),
  ]);
  assert.ok(bad.status === "rejected" && bad.reason instanceof TranscodeError);
  assert.equal(bad.reason.field, "fInt32");
  assert.equal(next.status, "fulfilled");
});

test("a urlencoded form with more fields than http.uploads.parts is refused with the limit", async () => {
  const few = { ...limits, parts: 1500 };
  const body = Buffer.from("rInt32=1&".repeat(1501));
  await assert.rejects(
    async () =>
      encodeForm(plan, [], "", { contentType: "application/x-www-form-urlencoded", bytes: body }, few),
    (error: unknown) =>
      error instanceof GatewayError && error.message === "the form is limited to 1500 fields",
  );
});

test("a urlencoded name of more than 8,192 characters is refused, and one below nests as deep as it says", async () => {
  const send = async (name: string) => encode("application/x-www-form-urlencoded", Buffer.from(`${name}=1`));
  await assert.rejects(
    send(`${"fAll.".repeat(100_000)}fInt32`),
    (error: unknown) =>
      error instanceof GatewayError &&
      /name of field 1 has 500006 characters, at most 8192/.test(error.message),
  );
  await assert.rejects(
    send(`${"fAll.".repeat(1500)}fInt32`),
    (error: unknown) => error instanceof TranscodeError && error.reason === "TOO_DEEP",
  );
});

/** The reader of a multipart form for a client stream. */
function streamReader() {
  return formReader({
    plan,
    clientStreaming: true,
    variables: [],
    query: "",
    contentType: multipart,
    limits,
  });
}

test("a file for a client stream is read in slices, and its pieces leave before the next are read", async () => {
  const reader = streamReader();
  assert.ok(reader !== undefined);
  const content = Buffer.alloc(8 << 20, "x");
  let received = 0;
  let waiting = false;
  const emit = async (message: Uint8Array): Promise<void> => {
    assert.ok(!waiting, "a message came while the one before it had to wait");
    waiting = true;
    received += message.length;
    await turn();
    waiting = false;
  };
  await reader.push(
    Buffer.from('--b\r\ncontent-disposition: form-data; name="fBytes"; filename="f"\r\n\r\n'),
    emit,
  );
  await reader.push(content, emit);
  await reader.push(Buffer.from("\r\n--b--\r\n"), emit);
  await reader.end(emit);
  assert.ok(received > content.length);
});

test("many small parts for a client stream are read in several turns", async () => {
  const reader = streamReader();
  const messages: Uint8Array[] = [];
  const emit = (message: Uint8Array): void => void messages.push(message);
  const { turns } = await turnsDuring(async () => {
    await reader?.push(form(...Array.from({ length: 5000 }, () => part("rString", "x"))), emit);
    await reader?.end(emit);
  });
  assert.equal(messages.length, 1);
  assert.ok(turns >= 5, `${turns} turns`);
});
