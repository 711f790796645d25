import type { Draft } from "./draft.js";
import { checkPath } from "./file-check.js";
import type { Findings } from "./findings.js";
import { checkUpstreamName } from "./upstream-check.js";

export function checkDescriptors(draft: Draft, findings: Findings): void {
  draft.descriptors?.forEach((source, index) => {
    if (source === undefined) return;
    const path = ["descriptors", index];
    if ("set" in source) checkPath([...path, "set"], source.set, "file", findings);
    if ("reflection" in source) {
      checkUpstreamName([...path, "reflection"], source.reflection, draft, findings);
    }
    if (!("protos" in source)) return;
    const expected = source.protos?.endsWith(".proto") ? "file" : "folder";
    checkPath([...path, "protos"], source.protos, expected, findings);
    source.include?.forEach((folder, at) => {
      checkPath([...path, "include", at], folder, "folder", findings);
    });
  });
}
