import { constraintsOf, namesOf, resolved, typeName, withoutNull } from "./documents.js";
import { el, prose, spans } from "./dom.js";

/** Fields of one message that are shown at once. */
const mostFields = 300;

/** The fields of a schema; messages in them open where somebody looks. */
export function schemaView(document, schema) {
  const target = targetOf(document, schema);
  const fields = Object.entries(target.properties ?? {});
  const choices = choicesOf(document, target);
  if (fields.length === 0 && choices.length > 0)
    return el(
      "div",
      { class: "schema" },
      choices.map((choice, index) => choiceView(document, choice, index === 0)),
    );
  if (fields.length === 0)
    return el(
      "div",
      { class: "schema" },
      el("p", { class: "quiet" }, plainText(document, schema)),
      about(document, schema),
    );
  return el(
    "div",
    { class: "schema" },
    target.description && el("div", { class: "prose" }, prose(target.description)),
    fieldList(document, target, fields),
  );
}

/** The messages of which a value is one; none where there is no choice between messages. */
function choicesOf(document, target) {
  const all = target.anyOf ?? target.oneOf ?? [];
  return all.length > 1 && all.some(choice => targetOf(document, choice).properties !== undefined) ? all : [];
}

function choiceView(document, choice, open) {
  const named = typeof choice.$ref === "string" || targetOf(document, choice).title !== undefined;
  const label = named ? typeName(document, choice) : "Either";
  const details = el("details", { class: "nested", open }, el("summary", {}, label));
  const fill = () => {
    if (details.open && details.childElementCount === 1) details.append(schemaView(document, choice));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

function fieldList(document, target, fields) {
  const required = new Set(target.required ?? []);
  const rows = fields
    .slice(0, mostFields)
    .map(([name, schema]) => fieldRow(document, name, schema, required.has(name)));
  const more =
    fields.length > mostFields &&
    el("li", { class: "quiet" }, `and ${fields.length - mostFields} more fields`);
  return el("ul", { class: "fields" }, rows, more);
}

/** One field, parameter or property. */
export function fieldRow(
  document,
  name,
  schema,
  required,
  { deprecated = schema.deprecated, description = schema.description } = {},
) {
  const head = el(
    "span",
    { class: "field-head" },
    el("code", { class: "field-name" }, name),
    " ",
    el("span", { class: "type" }, typeName(document, schema)),
    required && el("span", { class: "tag" }, "required"),
    deprecated && el("span", { class: "tag warn" }, "deprecated"),
  );
  const inner = innerOf(document, schema);
  const text = description && el("div", { class: "prose" }, prose(description));
  return el(
    "li",
    {},
    head,
    text,
    about(document, schema),
    inner && nested(document, inner, typeName(document, schema)),
  );
}

/** Values and constraints. */
function about(document, schema) {
  const target = targetOf(document, schema);
  const element = target.type === "array" ? target.items : schema;
  const names = namesOf(document, element);
  const limits = [
    ...constraintsOf(document, schema),
    ...(element === schema ? [] : constraintsOf(document, element).map(text => `each ${text}`)),
  ];
  return [
    limits.length > 0 && el("p", { class: "constraints" }, limits.join(" · ")),
    names.length > 0 &&
      el(
        "p",
        { class: "constraints" },
        names.slice(0, 40).flatMap((name, index) => [index > 0 && " ", el("code", {}, name)]),
        names.length > 40 && ` and ${names.length - 40} more`,
      ),
    names.length > 0 &&
      resolved(document, withoutNull(element)).description &&
      element.description === undefined &&
      el(
        "details",
        {},
        el("summary", {}, "Meaning of the values"),
        el("div", { class: "prose" }, prose(resolved(document, withoutNull(element)).description)),
      ),
  ];
}

/** The message in a field, a list or a map; undefined where there is none. */
function innerOf(document, schema) {
  let target = targetOf(document, schema);
  for (let depth = 0; depth < 4; depth++) {
    if (target.type === "array") target = targetOf(document, target.items ?? {});
    else if (typeof target.additionalProperties === "object" && target.properties === undefined)
      target = targetOf(document, target.additionalProperties);
    else break;
  }
  return Object.keys(target.properties ?? {}).length > 0 ? target : undefined;
}

/** Made only when it is opened: messages may hold themselves. */
function nested(document, target, label) {
  const details = el(
    "details",
    {
      class: "nested",
      ontoggle: () => {
        if (details.open && details.childElementCount === 1) details.append(schemaView(document, target));
      },
    },
    el("summary", {}, `Fields of ${label.replace(/^(list|map) of /, "")}`),
  );
  return details;
}

function targetOf(document, schema) {
  return withoutNull(resolved(document, withoutNull(schema ?? {})));
}

function plainText(document, schema) {
  const target = targetOf(document, schema);
  if (target.type === "object" && target.properties !== undefined) return spans("An empty object, `{}`.");
  const name = typeName(document, schema);
  return name === "any" ? "Any JSON value." : `${name[0].toUpperCase()}${name.slice(1)}.`;
}
