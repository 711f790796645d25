import { encodeText } from "../routing/percent.js";
import type { Template, TemplateVariable } from "../routing/template.js";
import { segmentText } from "../routing/template.js";

/** A parameter of a path of OpenAPI, which is always one segment. */
export interface PathParameter {
  readonly name: string;
  /** Index of the segment in the template. */
  readonly segment: number;
  /** The variable that it is of, or a part of; undefined for a wildcard without a variable. */
  readonly variable: TemplateVariable | undefined;
  /** Whether it is the whole variable. */
  readonly whole: boolean;
}

export interface ApiPath {
  /** `/v1/messages/{message_id}:cancel` */
  readonly text: string;
  /** Equal for paths that differ in the names of parameters only, which OpenAPI takes for one path. */
  readonly key: string;
  readonly parameters: readonly PathParameter[];
}

/** @returns a text: why OpenAPI has no such path */
export function apiPath(template: Template): ApiPath | string {
  const { segments, variables, verb } = template;
  if (segments.some(({ kind }) => kind === "multi"))
    return "`**` takes any number of segments, and a parameter of a path takes one";
  const parameters: PathParameter[] = [];
  const used = new Set<string>();
  const texts = segments.map((segment, index) => {
    if (segment.kind === "literal") return segmentText(segment);
    const variable = variables.find(({ start, end }) => start <= index && index < end);
    const whole = variable !== undefined && variable.end - variable.start === 1;
    const base = whole ? variable.path.join("_") : nameOf(template, index, variable);
    const name = unused(base, used);
    parameters.push({ name, segment: index, variable, whole });
    return `{${name}}`;
  });
  const end = verb === undefined ? "" : `:${encodeText(verb)}`;
  const text = `/${texts.join("/")}${end}`;
  return { text, key: text.replace(/\{[^}]*\}/g, "{}"), parameters };
}

/** By the segment before, as resource names go: `book` behind `books`; else by the variable. */
function nameOf({ segments }: Template, index: number, variable: TemplateVariable | undefined): string {
  const before = segments[index - 1];
  if (before?.kind === "literal" && /^[A-Za-z][\w-]*$/.test(before.value)) return singular(before.value);
  return variable === undefined ? `segment${index + 1}` : variable.path.join("_");
}

function singular(word: string): string {
  if (/(series|species)$/i.test(word)) return word;
  if (/[^aeiou]ies$/i.test(word)) return `${word.slice(0, -3)}y`;
  if (/(ss|x|ch|sh)es$/i.test(word)) return word.slice(0, -2);
  return /[^s]s$/i.test(word) ? word.slice(0, -1) : `${word}_id`;
}

function unused(base: string, used: Set<string>): string {
  let name = base;
  for (let count = 2; used.has(name); count++) name = `${base}_${count}`;
  used.add(name);
  return name;
}

/** The form of a variable, in the names of the path's parameters: `messages/{message}`. */
export function variableText(
  { segments }: Template,
  { start, end }: TemplateVariable,
  parameters: readonly PathParameter[],
): string {
  return segments
    .slice(start, end)
    .map((segment, offset) => {
      const parameter = parameters.find(each => each.segment === start + offset);
      return parameter === undefined ? segmentText(segment) : `{${parameter.name}}`;
    })
    .join("/");
}
