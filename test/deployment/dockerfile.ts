import { readFileSync } from "node:fs";

export interface Instruction {
  readonly name: string;
  /** What follows the name, with continued lines joined. */
  readonly rest: string;
}

export interface Stage {
  readonly base: string;
  /** The name behind AS; the last stage has none. */
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, in the subset that the project's own uses: no ARG, no heredocs, no ONBUILD. */
export function readDockerfile(path: string): readonly Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter(line => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  for (const line of lines) {
    const [, name = "", rest = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (name === "FROM") {
      const [, base = "", stage] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? [];
      stages.push({ base, name: stage, instructions: [] });
    } else stages.at(-1)?.instructions.push({ name, rest });
  }
  return stages;
}

/** The words of an instruction in exec form, `["node", "main.js"]`. */
export function execForm(stage: Stage, name: string): readonly string[] {
  const rest = stage.instructions.find(each => each.name === name)?.rest ?? "";
  return JSON.parse(rest.slice(rest.indexOf("["))) as string[];
}
