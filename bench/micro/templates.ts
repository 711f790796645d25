import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { equivalenceKey, type Segment, type Template } from "../../src/routing/template.js";
import { parseTemplate } from "../../src/routing/template-parser.js";
import { root } from "../repository.js";

export interface BenchRoute {
  readonly method: string;
  readonly template: Template;
  /** A raw path that the template matches. */
  readonly path: string;
}

const rule = /^\s*(get|put|post|delete|patch): *"(\/[^"]+)"/gm;

/** The templates of Google's public APIs, without two that match the same, at most `count`. */
export function publicRoutes(count: number): BenchRoute[] {
  const folder = join(root, "node_modules/google-proto-files");
  const routes = new Map<string, BenchRoute>();
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(name =>
    name.endsWith(".proto"),
  );
  for (const file of files.sort()) {
    for (const [, verb = "", text = ""] of readFileSync(join(folder, file), "utf8").matchAll(rule)) {
      const method = verb.toUpperCase();
      const template = parseTemplate(text);
      const key = `${method} ${equivalenceKey(template)}`;
      if (!routes.has(key)) routes.set(key, { method, template, path: samplePath(template) });
      if (routes.size === count) return [...routes.values()];
    }
  }
  return [...routes.values()];
}

function samplePath({ segments, verb }: Template): string {
  const path = `/${segments.map(sampleSegment).join("/")}`;
  return verb === undefined ? path : `${path}:${verb}`;
}

function sampleSegment(segment: Segment, index: number): string {
  switch (segment.kind) {
    case "literal":
      return segment.value;
    case "single":
      return `name-${index}`;
    case "multi":
      return "some/deeper/name";
  }
}
