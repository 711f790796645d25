import assert from "node:assert/strict";
import { test } from "node:test";
import { readCorpus } from "./corpus.js";
import { targets } from "./targets.js";

for (const target of targets) {
  test(`every input of the fuzz corpus "${target.name}" is read or refused as it must be`, () => {
    const corpus = readCorpus(target.name);
    assert.ok(corpus.length > 0, "the corpus is empty");
    for (const { file, bytes } of corpus) {
      try {
        target.run(bytes);
      } catch (error) {
        throw new Error(`input ${file}`, { cause: error });
      }
    }
  });
}
