import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Coding, chooseCoding } from "../../src/compression/accept-encoding.js";

const both: readonly Coding[] = ["br", "gzip"];

for (const [header, coding, identity] of [
  [undefined, undefined, true],
  ["", undefined, true],
  ["gzip", "gzip", true],
  ["GZip", "gzip", true],
  ["x-gzip", "gzip", true],
  ["gzip, deflate, br, zstd", "br", true],
  ["gzip;q=1, br;q=0.9", "gzip", true],
  ["gzip ; q=0.5 , br\t;\tQ=0.5", "br", true],
  ["br;q=0, gzip;q=0", undefined, true],
  ["*", "br", true],
  ["*;q=0", undefined, false],
  ["br;q=0, *", "gzip", true],
  ["identity", undefined, true],
  ["identity;q=0", undefined, false],
  ["gzip, identity;q=0", "gzip", false],
  ["gzip, *;q=0", "gzip", false],
  ["*;q=0, identity", undefined, true],
  ["gzip;q=0.2, identity;q=0.8", undefined, true],
  ["gzip;q=0.8, identity;q=0.8", "gzip", true],
  ["gzip;q=0, gzip", undefined, true],
  ["gzip;q=2", undefined, true],
  ["gzip;q=1.001", undefined, true],
  ["gzip;q=0.1234", undefined, true],
  ["gzip;q=", undefined, true],
  ["gzip;level=1", undefined, true],
  ["gzip br", undefined, true],
  [",,gzip,,", "gzip", true],
  ["deflate, compress", undefined, true],
] as const) {
  test(`Accept-Encoding ${header === undefined ? "that is absent" : JSON.stringify(header)} chooses ${coding ?? "no coding"}`, () => {
    assert.deepEqual(chooseCoding(header, both), { coding, identity });
  });
}

test("the coding that is offered first is chosen of several of one weight", () => {
  assert.equal(chooseCoding("gzip, br", ["gzip", "br"]).coding, "gzip");
  assert.equal(chooseCoding("gzip, br", ["br", "gzip"]).coding, "br");
  assert.equal(chooseCoding("br", ["gzip"]).coding, undefined);
});

const weight = fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined });
const names = ["br", "gzip", "identity", "deflate", "*"];
const entries = fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), weight }), {
  selector: ({ name }) => name,
});

test("the choice is never refused by the client, and nothing that is offered is liked better", () => {
  fc.assert(
    fc.property(entries, fc.shuffledSubarray([...both], { minLength: 1 }), (list, offered) => {
      const header = list
        .map(({ name, weight: each }) =>
          each === undefined ? name : `${name};q=${(each / 1000).toFixed(3)}`,
        )
        .join(", ");
      const weightOf = (name: string, absent: number): number => {
        const found = list.find(each => each.name === name) ?? list.find(each => each.name === "*");
        return found === undefined ? absent : (found.weight ?? 1000);
      };
      const { coding, identity } = chooseCoding(header, offered);
      assert.equal(identity, weightOf("identity", 1) > 0);
      const explicit = list.find(({ name }) => name === "identity");
      const floor = explicit === undefined ? 0 : (explicit.weight ?? 1000);
      const best = Math.max(...offered.map(each => weightOf(each, 0)));
      if (coding === undefined) assert.ok(best === 0 || floor > best);
      else {
        assert.equal(weightOf(coding, 0), best);
        assert.ok(best > 0 && best >= floor);
        assert.equal(
          coding,
          offered.find(each => weightOf(each, 0) === best),
        );
      }
    }),
  );
});

test("any text is read without an error, and elements that are not valid change nothing", () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: "binary" }), (one, other) => {
      chooseCoding(one, both);
      chooseCoding(other, both);
      const broken = one.replaceAll(/[,\w*!#$%&'+.^`|~-]/g, "");
      assert.deepEqual(chooseCoding(`${broken},gzip`, both), { coding: "gzip", identity: true });
    }),
  );
});
