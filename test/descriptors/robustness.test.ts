import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LoadError } from "../../src/config/diagnostic.js";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { EnumValue, Field, MessageType, MethodType, Model } from "../../src/descriptors/model.js";
import { folderOf } from "./workspace.js";

const files = decodeSet(readFileSync(new URL("fixtures/kinds.binpb", import.meta.url)));

const OPTIONS = [
  "deprecated",
  "kinds.message",
  "kinds.field",
  "kinds.tags",
  "kinds.enum_value",
  "google.api.http",
];

/** Reads all that a damaged model might say. */
function visit(model: Model): void {
  const read = (element: Field | MessageType | MethodType | EnumValue) => {
    const values = OPTIONS.map(name => element.options.get(name));
    return [element.comment, element.line, element.deprecated, values];
  };
  for (const name of ["kinds.Shape", "kinds.Fields", "kinds.Legacy", "kinds.Modern", "kinds.Inherited"]) {
    const message = model.message(name);
    if (message === undefined) continue;
    read(message);
    for (const field of message.fields) {
      read(field);
      assert.equal(field.message !== undefined, field.kind === "message");
      assert.equal(field.enum !== undefined, field.kind === "enum");
      field.map?.value.enum?.valuesByName.get("X");
    }
  }
  for (const { methods } of model.services.values()) {
    for (const method of methods) {
      read(method);
      assert.ok(method.input.fields && method.output.fields);
    }
  }
  model.enum("kinds.Shape.Kind")?.values.forEach(read);
  model.descriptorSet();
}

describe("damaged descriptors", () => {
  it("damaged descriptors are load errors or a model that can be read, never anything else", async () => {
    const damage = fc.record({
      file: fc.integer({ min: 0, max: files.length - 1 }),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      byte: fc.integer({ min: 0, max: 255 }),
    });
    let damaged = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async damages => {
        const copy = files.map(file => Buffer.from(file));
        for (const { file, at, byte } of damages) {
          const bytes = copy[file]!;
          bytes[Math.floor(at * bytes.length)] = byte;
        }
        try {
          const { model } = await loadModel([{ kind: "files", origin: "damaged", files: copy }]);
          visit(model);
        } catch (error) {
          if (!(error instanceof LoadError)) throw error;
          damaged++;
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(damaged > 0);
  });
});

describe("damaged text", () => {
  it("a damaged .proto text is a load error or a model that can be read, never anything else", async t => {
    const sources = ["options", "shapes", "legacy", "modern", "inherited"].map(name => {
      const url = new URL(`fixtures/kinds/${name}.proto`, import.meta.url);
      return [`kinds/${name}.proto`, readFileSync(url, "utf8")] as const;
    });
    const folder = folderOf(t, Object.fromEntries(sources));
    const damage = fc.record({
      file: fc.integer({ min: 0, max: sources.length - 1 }),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      length: fc.integer({ min: 0, max: 12 }),
      text: fc.constantFrom("", "{", "}", ";", " x ", "1", '"', "[", "-", ".", "/*", "repeated ", "M", "= 0"),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, at, length, text }) => {
        const [name, source] = sources[file]!;
        const start = Math.floor(at * source.length);
        writeFileSync(join(folder, name), source.slice(0, start) + text + source.slice(start + length));
        try {
          visit((await loadModel([{ kind: "protos", folder, include: [] }])).model);
        } catch (error) {
          if (!(error instanceof LoadError)) throw error;
        } finally {
          writeFileSync(join(folder, name), source);
        }
      }),
      { numRuns: 300 },
    );
  });
});
